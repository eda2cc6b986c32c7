#define read emulated_read // the names of functions of the C library
#define write emulated_write
#include "memory.cu"
#undef read
#undef write
#include "kernels.h"

static const bool added_read = add_kernel("read", emulated_read);
static const bool added_write = add_kernel("write", emulated_write);
ADD_KERNEL(copy);
ADD_KERNEL(chase);
ADD_KERNEL(empty);
ADD_KERNEL(fill);
