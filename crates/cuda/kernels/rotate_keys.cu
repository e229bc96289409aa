// A layer's keys of one view, rotated once from block-relative to view positions into a scratch
// [key][kv head][dim], for the dense kernel. Grid (block of the view, token); only keys that are there.
#include "common.cuh"

extern "C" __global__ void rotate_keys(const u16* layer, const u32* block_slots, const float2* table,
                                       u16* scratch, u32 keys, u32 kv_heads, u32 head_dim) {
    const u32 token = blockIdx.y, key = blockIdx.x * BLOCK_TOKENS + token, half = head_dim / 2;
    if (key >= keys) return;
    const u16* from = layer + block_slots[blockIdx.x] * slice_elements(kv_heads, head_dim) +
                      u64(token) * kv_heads * head_dim;
    u16* to = scratch + u64(key) * kv_heads * head_dim;
    const float2* turns = table + u64(blockIdx.x) * BLOCK_TOKENS * half;
    for (u32 i = threadIdx.x; i < kv_heads * half / 2; i += blockDim.x) {
        const u32 head = i / (half / 2), pair = i % (half / 2) * 2, at = head * head_dim + pair;
        const u32 a = *reinterpret_cast<const u32*>(from + at);
        const u32 b = *reinterpret_cast<const u32*>(from + at + half);
        const float4 cs = *reinterpret_cast<const float4*>(turns + pair);
        *reinterpret_cast<u32*>(to + at) = pack_bf16(low_half(a) * cs.x - low_half(b) * cs.y,
                                                     high_half(a) * cs.z - high_half(b) * cs.w);
        *reinterpret_cast<u32*>(to + at + half) = pack_bf16(low_half(b) * cs.x + low_half(a) * cs.y,
                                                            high_half(b) * cs.z + high_half(a) * cs.w);
    }
}
