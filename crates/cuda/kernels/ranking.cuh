// The likeliest tokens of a row in order, without sorting a whole vocabulary: a histogram of distances from the
// greatest logit says how far the candidates reach, those are gathered and sorted.
//
// Weights e^(−distance) are whole numbers in units of 2^-40, so that sums are the same in any order.
#pragma once
#include "block.cuh"

constexpr u32 THREADS = 1024;
constexpr u32 MOST_CANDIDATES = 2048;
constexpr u32 BINS = THREADS;
constexpr float REACH = 32.0f;  // weights beyond this distance are 0 in their unit
constexpr float UNIT = 1099511627776.0f;

__device__ __forceinline__ float finite(float logit) {
    return logit != logit ? negative_infinity() : fminf(logit, 3.402823466e38f);
}

// Logits of which a mask may leave a part: a bit a token; none: all are left.
struct Masked {
    const float* logits;
    const u32* mask;

    __device__ __forceinline__ float operator()(u32 token) const {
        const bool left = mask == nullptr || (mask[token / 32] >> (token % 32) & 1) != 0;
        return left ? logits[token] : negative_infinity();
    }
};

struct Row {
    Masked logits;
    u32 vocabulary;
    float top, temperature;

    __device__ __forceinline__ float distance(u32 token) const {
        return (top - finite(logits(token))) / temperature;
    }
};

__device__ __forceinline__ u64 weight_of(float distance) {
    return distance < REACH ? u64(__float2ull_rn(expf(-distance) * UNIT)) : 0;
}

__device__ __forceinline__ u32 bin_of(float distance) { return u32(distance * (float(BINS) / REACH)); }

struct Ranking {
    u64 order[MOST_CANDIDATES];  // distance's bits, then token: ascending is likeliest first
    u64 sums[MOST_CANDIDATES];   // running sums of their weights
    u32 counts[BINS];
    u64 parts[THREADS / WARP];
    Best best[THREADS / WARP];
    u32 reach, count, needed, chosen;

    __device__ __forceinline__ float distance(u32 i) const { return __uint_as_float(u32(order[i] >> 32)); }
    __device__ __forceinline__ u32 token(u32 i) const { return u32(order[i]); }
};

// Inclusive running sums of one value a thread, over the CTA.
template <class T>
__device__ __forceinline__ T running_sum(T value, u64* parts) {
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
#pragma unroll
    for (u32 step = 1; step < WARP; step *= 2) {
        const T before = __shfl_up_sync(EVERY_LANE, value, step);
        if (lane >= step) value += before;
    }
    __syncthreads();
    if (lane == WARP - 1) parts[warp] = value;
    __syncthreads();
    for (u32 w = 0; w < warp; ++w) value += T(parts[w]);
    return value;
}

// Bitonic sort of a power of two of keys, ascending.
__device__ __forceinline__ void sort(u64* keys, u32 size) {
    for (u32 run = 2; run <= size; run *= 2)
        for (u32 step = run / 2; step > 0; step /= 2) {
            __syncthreads();
            for (u32 i = threadIdx.x; i < size / 2; i += THREADS) {
                const u32 low = 2 * i - i % step, high = low + step;
                const u64 a = keys[low], b = keys[high];
                const bool ascending = (low & run) == 0;
                if ((a > b) == ascending) keys[low] = b, keys[high] = a;
            }
        }
    __syncthreads();
}

// Fills `ranking` with the likeliest tokens of the row, at most MOST_CANDIDATES, sorted, with their running sums.
// Returns whether these are all tokens of any weight.
__device__ __forceinline__ bool rank_row(const Row& row, Ranking& ranking) {
    ranking.counts[threadIdx.x] = 0;
    if (threadIdx.x == 0) ranking.reach = 0, ranking.count = 0;
    __syncthreads();
    for (u32 i = threadIdx.x; i < row.vocabulary; i += THREADS) {
        const float distance = row.distance(i);
        if (distance < REACH) atomicAdd(&ranking.counts[bin_of(distance)], 1u);
    }
    __syncthreads();
    const u32 within = running_sum(ranking.counts[threadIdx.x], ranking.parts);
    if (within <= MOST_CANDIDATES) atomicMax(&ranking.reach, threadIdx.x + 1);
    __syncthreads();
    const u32 reach = ranking.reach;
    for (u32 i = threadIdx.x; i < row.vocabulary; i += THREADS) {
        const float distance = row.distance(i);
        if (distance < REACH && bin_of(distance) < reach) {
            const u32 at = atomicAdd(&ranking.count, 1u);
            ranking.order[at] = u64(__float_as_uint(distance)) << 32 | i;
        }
    }
    __syncthreads();
    const u32 count = ranking.count;
    u32 size = 2;
    while (size < count) size *= 2;
    for (u32 i = threadIdx.x; i < size; i += THREADS)
        if (i >= count) ranking.order[i] = ~u64(0);
    sort(ranking.order, size);
    const u32 a = 2 * threadIdx.x, b = a + 1;
    const u64 first = a < count ? weight_of(ranking.distance(a)) : 0;
    const u64 second = b < count ? weight_of(ranking.distance(b)) : 0;
    const u64 sum = running_sum(first + second, ranking.parts);
    ranking.sums[a] = sum - second, ranking.sums[b] = sum;
    __syncthreads();
    return reach == BINS;
}

// Sum of the weights of all tokens.
__device__ __forceinline__ u64 total_weight(const Row& row, float least, u64* parts) {
    u64 sum = 0;
    for (u32 i = threadIdx.x; i < row.vocabulary; i += THREADS) {
        const float distance = row.distance(i);
        if (expf(-distance) >= least) sum += weight_of(distance);
    }
    sum = block_sum<THREADS>(sum, parts);
    __syncthreads();
    return sum;
}
