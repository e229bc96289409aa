// to[i] = from[rows[i]]. One CTA a row, rows of `vectors` times 16 bytes.
#include "common.cuh"

extern "C" __global__ void gather_rows(const uint4* from, const u32* rows, uint4* to, u32 vectors) {
    from += u64(rows[blockIdx.x]) * vectors, to += u64(blockIdx.x) * vectors;
    for (u32 i = threadIdx.x; i < vectors; i += blockDim.x) to[i] = from[i];
}
