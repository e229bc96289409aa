// Penalties, bias and bans of single tokens, in the CPU sampler's order, and their undoing: log probabilities
// are of the raw logits. A thread an adjustment; no two name the same logit.
#include "common.cuh"

struct Adjustment {
    u32 row, token;
    float repetition;  // 1: none
    float subtract, bias;
    u32 banned;
    float raw;  // what was there
    u32 unused;
};

extern "C" __global__ void adjust_logits(Adjustment* adjustments, u32 count, float* logits, u32 vocabulary) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Adjustment a = adjustments[i];
    float* place = logits + u64(a.row) * vocabulary + a.token;
    float logit = *place;
    adjustments[i].raw = logit;
    if (a.repetition != 1.0f) logit = logit > 0.0f ? logit / a.repetition : logit * a.repetition;
    logit = logit - a.subtract + a.bias;
    *place = a.banned != 0 ? negative_infinity() : logit;
}

extern "C" __global__ void restore_logits(const Adjustment* adjustments, u32 count, float* logits, u32 vocabulary) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Adjustment a = adjustments[i];
    logits[u64(a.row) * vocabulary + a.token] = a.raw;
}
