// The first `valid` rows of a slot into another, K and V of every layer: the start of a fork.
// Grid (layers, K and V). A row is kv_heads·head_dim bf16, a multiple of 16 bytes.
#include "common.cuh"

extern "C" __global__ void copy_rows(u16* slots, u64 layer_elements, u32 from_slot, u32 to_slot, u32 valid,
                                     u32 row_elements) {
    const u64 half = u64(BLOCK_TOKENS) * row_elements;
    u16* base = slots + blockIdx.x * layer_elements + blockIdx.y * half;
    const uint4* from = reinterpret_cast<const uint4*>(base + 2 * half * from_slot);
    uint4* to = reinterpret_cast<uint4*>(base + 2 * half * to_slot);
    for (u32 i = threadIdx.x; i < valid * row_elements / 8; i += blockDim.x) to[i] = from[i];
}
