// Joins what attention found in each split of a row's keys:
//   partial [row][split][head][dim] unnormalised, partial_scale [row][split][head] (maximum, sum).
// A row reads only the splits that its own keys reach; a row that takes no part becomes zeros.
// CTA = (row, head); its warps take the splits in turn, a lane four elements of the head.
#include "common.cuh"

constexpr u32 WARPS = 4;
constexpr u32 MOST_HEAD_DIM = 4 * WARP;

__device__ __forceinline__ float4 scaled(float4 x, float by) {
    return make_float4(x.x * by, x.y * by, x.z * by, x.w * by);
}

__device__ __forceinline__ float4 sum_of(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    combine_splits(const float* partial, const float2* partial_scale, const u32* positions, u16* out,
                   u32 heads, u32 head_dim, u32 splits, u32 blocks_per_split) {
    __shared__ float4 sums[WARPS][MOST_HEAD_DIM / 4];
    const u32 row = blockIdx.x, head = blockIdx.y, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const u32 position = positions[row];
    const u32 used = position == NONE ? 0 : position / BLOCK_TOKENS / blocks_per_split + 1;
    const u64 first = u64(row) * splits * heads + head;

    // Every warp finds the maximum and the sum by itself: they are few, and it saves a barrier.
    float most = negative_infinity(), total = 0.0f;
    for (u32 s = lane; s < used; s += WARP) most = fmaxf(most, partial_scale[first + s * heads].x);
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2)
        most = fmaxf(most, __shfl_xor_sync(EVERY_LANE, most, step));
    for (u32 s = lane; s < used; s += WARP) {
        const float2 part = partial_scale[first + s * heads];
        total += part.y * power_of_two(part.x - most);
    }
    total = warp_sum(total);

    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    const bool mine = lane < head_dim / 4;
    if (mine) {
#pragma unroll 4
        for (u32 s = warp; s < used; s += WARPS) {
            const u64 place = first + u64(s) * heads;
            const float4 part = *reinterpret_cast<const float4*>(partial + place * head_dim + 4 * lane);
            sum = sum_of(sum, scaled(part, power_of_two(partial_scale[place].x - most)));
        }
        sums[warp][lane] = sum;
    }
    __syncthreads();
    if (warp != 0 || !mine) return;
#pragma unroll
    for (u32 w = 1; w < WARPS; ++w) sum = sum_of(sum, sums[w][lane]);
    sum = scaled(sum, used == 0 ? 0.0f : 1.0f / total);
    reinterpret_cast<uint2*>(out + (u64(row) * heads + head) * head_dim)[lane] =
        make_uint2(pack_bf16(sum.x, sum.y), pack_bf16(sum.z, sum.w));
}
