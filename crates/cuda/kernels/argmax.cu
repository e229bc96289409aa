// The index of each row's greatest logit, the lowest one among equals. NaN is never chosen over a number.
// One CTA of 1,024 a row.
#include "common.cuh"

constexpr u32 THREADS = 1024;

struct Best {
    float value;
    u32 index;
};

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

extern "C" __global__ void __launch_bounds__(THREADS)
    argmax(const float* logits, u32* tokens, u32 vocabulary) {
    __shared__ Best parts[THREADS / WARP];
    const float* row = logits + u64(blockIdx.x) * vocabulary;
    Best best{negative_infinity(), threadIdx.x < vocabulary ? threadIdx.x : vocabulary - 1};
    for (u32 i = threadIdx.x; i < vocabulary; i += THREADS) best = better(best, Best{row[i], i});
    best = warp_best(best);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = best;
    __syncthreads();
    if (threadIdx.x >= WARP) return;
    best = warp_best(parts[threadIdx.x]);
    if (threadIdx.x == 0) tokens[blockIdx.x] = best.index;
}
