// What both prefill attention kernels are given, and the rotation of a query's pairs.
#pragma once
#include "mma.cuh"

// Tokens of one sequence whose queries, head by head of a group, are the rows of a CTA.
struct QueryTile {
    u32 first_row;    // of q and out
    u32 tokens;
    u32 position;     // of the first token inside its view
    u32 table_start;  // of the view's slots
};

struct Problem {
    const u16* q;
    const u16* layer;
    const u16* scratch;  // dense: rotated keys of the only sequence, [key][kv head][dim]
    const u32* block_slots;
    const float2* table;
    u16* out;            // where there is one split
    float* partial;      // where there are several
    float2* partial_scale;
    u32 heads, kv_heads, blocks_per_split;
    float scale;
};

// Two neighbouring pairs (low half, high half) turned by (cos, sin, cos, sin).
__device__ __forceinline__ void turn_pair(u32 a, u32 b, float4 cs, u32& low, u32& high) {
    low = pack_bf16(low_half(a) * cs.x - low_half(b) * cs.y, high_half(a) * cs.z - high_half(b) * cs.w);
    high = pack_bf16(low_half(b) * cs.x + low_half(a) * cs.y, high_half(b) * cs.z + high_half(a) * cs.w);
}
