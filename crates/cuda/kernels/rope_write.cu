// From the fused QKV product to queries and slots: bias and QK norm where the model has them, then
//   q → q_out unrotated (attention rotates it once a block),
//   k → its slot, rotated by the offset inside its block only,
//   v → its slot as it is.
// A warp takes one head of one row; a lane takes two neighbouring pairs (p, p + D/2) of it, as rotate-half RoPE
// pairs them. D is a multiple of 4 and at most 128.
#include "common.cuh"

constexpr u32 WARPS = 4;

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    rope_write(const u16* qkv, const float* bias, const float* q_norm, const float* k_norm,
               const float2* table, const u32* row_slots, const u32* row_positions, u16* q_out, u16* layer,
               u32 heads, u32 kv_heads, u32 head_dim, float epsilon) {
    const u32 row = blockIdx.x, head = blockIdx.y * WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const u32 all_heads = heads + 2 * kv_heads, half = head_dim / 2, pair = 2 * lane;
    const u32 slot = row_slots[row];
    if (head >= all_heads || slot == NONE) return;
    const bool is_query = head < heads, is_key = !is_query && head < heads + kv_heads, mine = pair < half;

    const u16* from = qkv + (u64(row) * all_heads + head) * head_dim + pair;
    u32 low = 0, high = 0;
    if (mine) low = *reinterpret_cast<const u32*>(from), high = *reinterpret_cast<const u32*>(from + half);
    float2 a = make_float2(low_half(low), high_half(low)), b = make_float2(low_half(high), high_half(high));
    if (bias != nullptr && mine) {
        const float* added = bias + head * head_dim + pair;
        a.x += added[0], a.y += added[1], b.x += added[half], b.y += added[half + 1];
    }
    const float* norm = is_query ? q_norm : is_key ? k_norm : nullptr;
    if (norm != nullptr) {
        const float squares = warp_sum(a.x * a.x + a.y * a.y + b.x * b.x + b.y * b.y);
        const float scale = 1.0f / sqrtf(squares / float(head_dim) + epsilon);
        if (mine) {
            a.x *= scale * norm[pair], a.y *= scale * norm[pair + 1];
            b.x *= scale * norm[pair + half], b.y *= scale * norm[pair + half + 1];
        }
    }
    if (!mine) return;

    const u32 offset = row_positions[row] % BLOCK_TOKENS, kv_head = (head - heads) % kv_heads;
    u16* to = is_query ? q_out + (u64(row) * heads + head) * head_dim
                       : layer + slot * slice_elements(kv_heads, head_dim) +
                             ((u64(is_key ? 0 : BLOCK_TOKENS) + offset) * kv_heads + kv_head) * head_dim;
    if (is_key) {
        const float4 cs = *reinterpret_cast<const float4*>(table + offset * half + pair);
        const float2 p = a, r = b;
        a = make_float2(p.x * cs.x - r.x * cs.y, p.y * cs.z - r.y * cs.w);
        b = make_float2(r.x * cs.x + p.x * cs.y, r.y * cs.z + p.y * cs.w);
    }
    *reinterpret_cast<u32*>(to + pair) = pack_bf16(a.x, a.y);
    *reinterpret_cast<u32*>(to + pair + half) = pack_bf16(b.x, b.y);
}
