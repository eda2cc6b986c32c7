#include "paged_attention.cu"

#include "kernels.h"

ADD_KERNEL(paged_e4m3_d128_g8);
#if EMULATED_ARCH < 900
ADD_KERNEL(paged_f16_d128_g8);
#endif
#if EMULATED_ARCH >= 800
ADD_KERNEL(paged_bf16_d128_g8);
#endif
#if EMULATED_ARCH == 800
ADD_KERNEL(paged_bf16_d128_g16);
ADD_KERNEL(paged_bf16_d64_g8);
ADD_KERNEL(paged_bf16_d256_g8);
#endif
#if EMULATED_ARCH >= 900
ADD_KERNEL(paged_bf16_d128_g8_w8);
ADD_KERNEL(paged_e4m3_d128_g8_w8);
#endif
