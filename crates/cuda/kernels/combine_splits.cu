// Joins what attention found in each split of a row's keys:
//   partial [row][split][head][dim] unnormalised, partial_scale [row][split][head] (maximum, sum).
// A row reads only the splits that its own keys reach; a row that takes no part becomes zeros.
// A warp takes one head of one row.
#include "common.cuh"

constexpr u32 WARPS = 4;

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    combine_splits(const float* partial, const float2* partial_scale, const u32* positions, u16* out,
                   u32 heads, u32 head_dim, u32 splits, u32 blocks_per_split) {
    const u32 row = blockIdx.x, head = blockIdx.y * WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (head >= heads) return;
    const u32 position = positions[row];
    const u32 used = position == NONE ? 0 : position / BLOCK_TOKENS / blocks_per_split + 1;
    const u64 first = u64(row) * splits * heads + head;

    float most = negative_infinity(), total = 0.0f;
    for (u32 s = lane; s < used; s += WARP) most = fmaxf(most, partial_scale[first + s * heads].x);
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2)
        most = fmaxf(most, __shfl_xor_sync(EVERY_LANE, most, step));
    for (u32 s = lane; s < used; s += WARP) {
        const float2 part = partial_scale[first + s * heads];
        total += part.y * exp2f(part.x - most);
    }
    total = warp_sum(total);
    for (u32 dim = 2 * lane; dim < head_dim; dim += 2 * WARP) {
        float2 sum = make_float2(0.0f, 0.0f);
        for (u32 s = 0; s < used; ++s) {
            const u64 place = first + u64(s) * heads;
            const float weight = exp2f(partial_scale[place].x - most);
            const float2 part = *reinterpret_cast<const float2*>(partial + place * head_dim + dim);
            sum.x += weight * part.x, sum.y += weight * part.y;
        }
        const float scale = used == 0 ? 0.0f : 1.0f / total;
        u16* to = out + (u64(row) * heads + head) * head_dim + dim;
        *reinterpret_cast<u32*>(to) = pack_bf16(sum.x * scale, sum.y * scale);
    }
}
