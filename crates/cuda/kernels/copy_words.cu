// Words from one place to another, of which one may be pinned memory of the host: what a step sends and gets back
// must not queue behind a load or a save, which keep the copy engines busy for milliseconds.
#include "common.cuh"

extern "C" __global__ void copy_words(const uint4* from, uint4* to, u32 count) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) to[i] = from[i];
}
