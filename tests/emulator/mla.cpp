#include "mla.cu"

#include "kernels.h"

#if EMULATED_ARCH >= 800
ADD_KERNEL(mla_bf16_h16);
ADD_KERNEL(mla_bf16_h64);
ADD_KERNEL(mla_merge);
#endif
