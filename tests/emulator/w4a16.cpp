#include "w4a16.cu"

#include "kernels.h"

#if EMULATED_ARCH < 900
ADD_KERNEL(w4a16_f16_m8);
ADD_KERNEL(w4a16_f16_m16);
ADD_KERNEL(w4a16_f16_m32);
#endif
#if EMULATED_ARCH == 800
ADD_KERNEL(w4a16_f16_m64);
#endif
#if EMULATED_ARCH >= 800
ADD_KERNEL(w4a16_bf16_m64);
ADD_KERNEL(w4a16_bf16_m8);
ADD_KERNEL(w4a16_bf16_m8_narrow);
ADD_KERNEL(w4a16_bf16_m16);
ADD_KERNEL(w4a16_bf16_m32);
#endif
#if EMULATED_ARCH >= 900
ADD_KERNEL(w4a16_bf16_m8_split8);
ADD_KERNEL(w4a16_bf16_m8_split16);
ADD_KERNEL(w4a16_bf16_m16_split8);
ADD_KERNEL(w4a16_bf16_m16_split2);
ADD_KERNEL(w4a16_bf16_m32_warpgroups);
ADD_KERNEL(w4a16_bf16_m64_warpgroups);
#endif
