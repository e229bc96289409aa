// Sums and maxima over all threads of a CTA, in one fixed order. Every thread gets the result.
#pragma once
#include "common.cuh"

// `parts` has one element a warp; the CTA may use it again after its next barrier.
template <u32 THREADS, class T>
__device__ __forceinline__ T block_sum(T value, T* parts) {
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) value += __shfl_xor_sync(EVERY_LANE, value, step);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = value;
    __syncthreads();
    value = 0;
#pragma unroll
    for (u32 warp = 0; warp < THREADS / WARP; ++warp) value += parts[warp];
    return value;
}

struct Best {
    float value;
    u32 index;
};

// The greater value, the lower index among equals. NaN is never better than a number.
__device__ __forceinline__ Best better(Best a, Best b) {
    return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

__device__ __forceinline__ Best warp_best(Best best) {
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) {
        best = better(best, Best{__shfl_xor_sync(EVERY_LANE, best.value, step),
                                 __shfl_xor_sync(EVERY_LANE, best.index, step)});
    }
    return best;
}

// The best of `count` numbers; −∞ where there is none but −∞ and NaN.
template <u32 THREADS, class Numbers>
__device__ __forceinline__ Best block_best_of(const Numbers& numbers, u32 count, Best* parts) {
    Best best{negative_infinity(), threadIdx.x < count ? threadIdx.x : count - 1};
    for (u32 i = threadIdx.x; i < count; i += THREADS) best = better(best, Best{numbers(i), i});
    best = warp_best(best);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = best;
    __syncthreads();
    best = parts[0];
#pragma unroll
    for (u32 warp = 1; warp < THREADS / WARP; ++warp) best = better(best, parts[warp]);
    return best;
}

// The best of a row.
template <u32 THREADS>
__device__ __forceinline__ Best block_best(const float* row, u32 count, Best* parts) {
    return block_best_of<THREADS>([&](u32 i) { return row[i]; }, count, parts);
}
