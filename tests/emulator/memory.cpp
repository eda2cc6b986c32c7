#define read emulated_read // the names of functions of the C library
#define write emulated_write
#include "memory.cu"
#undef read
#undef write
#include "kernels.h"

ADD_KERNEL_AS(read, emulated_read);
ADD_KERNEL_AS(write, emulated_write);
ADD_KERNEL(copy);
ADD_KERNEL(chase);
ADD_KERNEL(empty);
ADD_KERNEL(fill);
