// One token of each row: greedy, or by a given random number among what the mask, top-k, top-p and min-p leave. The CPU
// sampler's rules and order: likeliest first where top-k or top-p is on, else by token id.
// One CTA of 1,024 a request.
#include "ranking.cuh"

struct Request {
    u32 row;
    float temperature;  // 0: greedy
    u32 top_k;          // 0: off
    float top_p;        // 1: off
    float min_p;        // 0: off
    u32 mask;           // its number among the masks; NONE: every token may come
    double random;      // in [0, 1)
};

// Answers that are no token.
constexpr u32 NOTHING = NONE;         // every logit that the mask leaves is −∞ or NaN
constexpr u32 TOO_WIDE = NONE - 1;    // more candidates than are ranked here

__device__ __forceinline__ u64 target_of(double random, u64 total) {
    const u64 target = u64(random * double(total));
    return target < total ? target : total - 1;
}

// By token id: each warp sums up a stretch of the row, then one looks inside its own.
__device__ __forceinline__ void pick_by_id(const Row& row, const Request& request, Ranking& ranking, u32* token) {
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u32 stretch = ((row.vocabulary + THREADS - 1) / THREADS) * WARP;
    const u32 first = warp * stretch, end = min(first + stretch, row.vocabulary);
    const auto weight = [&](u32 i) -> u64 {
        if (i >= end) return 0;
        const float distance = row.distance(i);
        return expf(-distance) >= request.min_p ? weight_of(distance) : 0;
    };
    u64 sum = 0;
    for (u32 i = first + lane; i < end; i += WARP) sum += weight(i);
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) sum += __shfl_xor_sync(EVERY_LANE, sum, step);
    if (lane == 0) ranking.parts[warp] = sum;
    __syncthreads();
    u64 before = 0, total = 0;
    for (u32 w = 0; w < THREADS / WARP; ++w) {
        if (w < warp) before += ranking.parts[w];
        total += ranking.parts[w];
    }
    const u64 target = target_of(request.random, total);
    if (target < before || target >= before + sum) return;
    for (u32 start = first; start < end; start += WARP) {
        u64 running = weight(start + lane);
#pragma unroll
        for (u32 step = 1; step < WARP; step *= 2) {
            const u64 left = __shfl_up_sync(EVERY_LANE, running, step);
            if (lane >= step) running += left;
        }
        const u32 passed = __ballot_sync(EVERY_LANE, before + running > target);
        if (passed != 0) {
            if (lane == 0) *token = start + __ffs(passed) - 1;
            return;
        }
        before += __shfl_sync(EVERY_LANE, running, WARP - 1);
    }
}

// The first place of `ranking` at which `holds` is true, `count` if there is none.
template <class Condition>
__device__ __forceinline__ u32 first_place(Ranking& ranking, u32 count, const Condition& holds) {
    __syncthreads();
    if (threadIdx.x == 0) ranking.needed = count;
    __syncthreads();
    for (u32 i = threadIdx.x; i < count; i += THREADS)
        if (holds(i)) atomicMin(&ranking.needed, i);
    __syncthreads();
    return ranking.needed;
}

// Likeliest first.
__device__ __forceinline__ void pick_by_rank(const Row& row, const Request& request, Ranking& ranking, u32* token) {
    const u64 all = total_weight(row, 0.0f, ranking.parts);
    const bool complete = rank_row(row, ranking);
    u32 count = ranking.count;
    bool known = complete;
    if (request.top_k != 0 && request.top_k <= count) count = request.top_k, known = true;
    if (request.top_p < 1.0f) {
        // With top-k the nucleus is a share of what top-k leaves.
        const u64 total = request.top_k == 0 ? all : count == 0 ? 0 : ranking.sums[count - 1];
        const double enough = double(request.top_p) * double(total);
        const u32 last = first_place(ranking, count, [&](u32 i) { return double(ranking.sums[i]) >= enough; });
        // A row that top-k left open is open here too: its total is not known.
        if (last < count && (request.top_k == 0 || known)) count = last + 1, known = true;
    }
    if (!known || count == 0) {
        if (threadIdx.x == 0) *token = TOO_WIDE;
        return;
    }
    count = first_place(ranking, count, [&](u32 i) { return expf(-ranking.distance(i)) < request.min_p; });
    const u64 target = target_of(request.random, ranking.sums[count - 1]);
    const u32 chosen = first_place(ranking, count, [&](u32 i) { return ranking.sums[i] > target; });
    if (threadIdx.x == 0) *token = ranking.token(chosen);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    sample(const float* logits, const Request* requests, const u32* masks, u32* tokens, u32 vocabulary) {
    __shared__ Ranking ranking;
    const Request request = requests[blockIdx.x];
    const u32 words = (vocabulary + 31) / 32;
    const Masked row{logits + u64(request.row) * vocabulary,
                     request.mask == NONE ? nullptr : masks + u64(request.mask) * words};
    const Best best = block_best_of<THREADS>(row, vocabulary, ranking.best);
    u32* token = tokens + blockIdx.x;
    const bool nothing = best.value == negative_infinity();
    if (nothing || !(request.temperature > 0.0f)) {
        if (threadIdx.x == 0) *token = nothing ? NOTHING : best.index;
        return;
    }
    const Row scaled{row, vocabulary, finite(best.value), request.temperature};
    if (request.top_k == 0 && request.top_p >= 1.0f) {
        pick_by_id(scaled, request, ranking, token);
    } else {
        pick_by_rank(scaled, request, ranking, token);
    }
}
