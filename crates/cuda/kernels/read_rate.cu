// Reads a buffer once, 16 bytes a thread and four loads in flight: the ceiling of everything bound by memory.
// `count` is in units of 16 bytes; `sink` gets a word only so that the loads are needed.
#include "common.cuh"

extern "C" __global__ void read_rate(const uint4* from, u64 count, u32* sink) {
    const u64 stride = u64(gridDim.x) * blockDim.x;
    u32 folded = 0;
    u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    for (; i + 3 * stride < count; i += 4 * stride) {
        uint4 words[4];
#pragma unroll
        for (u32 j = 0; j < 4; ++j) words[j] = from[i + j * stride];
#pragma unroll
        for (u32 j = 0; j < 4; ++j) folded ^= words[j].x ^ words[j].y ^ words[j].z ^ words[j].w;
    }
    for (; i < count; i += stride) folded ^= from[i].x ^ from[i].y ^ from[i].z ^ from[i].w;
    if (folded == 0x9e3779b9u) *sink = folded;
}
