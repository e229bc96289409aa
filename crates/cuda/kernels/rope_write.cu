// From the fused QKV product to queries and slots: bias and QK norm where the model has them, then
//   q → q_out unrotated (attention rotates it once a block),
//   k → its slot, rotated by the offset inside its block only,
//   v → its slot as it is.
// A warp takes one head of one row; a lane takes pairs (p, p + D/2) of it, as rotate-half RoPE pairs them.
#include "common.cuh"

constexpr u32 WARPS = 4;
constexpr u32 MOST_PAIRS = 2;  // a lane's, at head dim 128

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    rope_write(const u16* qkv, const float* bias, const float* q_norm, const float* k_norm,
               const float2* table, const u32* row_slots, const u32* row_positions, u16* q_out, u16* layer,
               u32 heads, u32 kv_heads, u32 head_dim, float epsilon) {
    const u32 row = blockIdx.x, head = blockIdx.y * WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const u32 all_heads = heads + 2 * kv_heads, half = head_dim / 2;
    const u32 slot = row_slots[row];
    if (head >= all_heads || slot == NONE) return;
    const bool is_query = head < heads, is_key = !is_query && head < heads + kv_heads;

    float low[MOST_PAIRS], high[MOST_PAIRS], squares = 0.0f;
    const u16* from = qkv + (u64(row) * all_heads + head) * head_dim;
#pragma unroll
    for (u32 i = 0; i < MOST_PAIRS; ++i) {
        const u32 pair = lane + i * WARP;
        if (pair >= half) break;
        low[i] = from_bf16(from[pair]), high[i] = from_bf16(from[pair + half]);
        if (bias != nullptr) {
            low[i] += bias[head * head_dim + pair], high[i] += bias[head * head_dim + pair + half];
        }
        squares += low[i] * low[i] + high[i] * high[i];
    }
    const float* norm = is_query ? q_norm : is_key ? k_norm : nullptr;
    const float scale =
        norm == nullptr ? 1.0f : 1.0f / sqrtf(warp_sum(squares) / float(head_dim) + epsilon);

    const u32 offset = row_positions[row] % BLOCK_TOKENS, kv_head = (head - heads) % kv_heads;
    u16* to = is_query ? q_out + (u64(row) * heads + head) * head_dim
                       : layer + slot * slice_elements(kv_heads, head_dim) +
                             ((u64(is_key ? 0 : BLOCK_TOKENS) + offset) * kv_heads + kv_head) * head_dim;
#pragma unroll
    for (u32 i = 0; i < MOST_PAIRS; ++i) {
        const u32 pair = lane + i * WARP;
        if (pair >= half) break;
        float a = low[i], b = high[i];
        if (norm != nullptr) a *= scale * norm[pair], b *= scale * norm[pair + half];
        if (is_key) {
            const float2 turn = table[offset * half + pair];
            const float rotated = a * turn.x - b * turn.y;
            b = b * turn.x + a * turn.y, a = rotated;
        }
        to[pair] = to_bf16(a), to[pair + half] = to_bf16(b);
    }
}
