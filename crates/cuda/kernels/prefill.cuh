// What a CTA of both prefill attention kernels takes, and the rotation of a query's pairs.
#pragma once
#include "mma.cuh"

// Tokens of one sequence whose queries, head by head of a group, are the rows of a CTA.
struct QueryTile {
    u32 first_row;    // of q and out
    u32 tokens;
    u32 position;     // of the first token inside its view
    u32 table_start;  // of the view's slots
};

// Two neighbouring pairs (low half, high half) turned by (cos, sin, cos, sin).
__device__ __forceinline__ void turn_pair(u32 a, u32 b, float4 cs, u32& low, u32& high) {
    low = pack_bf16(low_half(a) * cs.x - low_half(b) * cs.y, high_half(a) * cs.z - high_half(b) * cs.w);
    high = pack_bf16(low_half(b) * cs.x + low_half(a) * cs.y, high_half(b) * cs.z + high_half(a) * cs.w);
}
