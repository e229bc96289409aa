// The index of each row's greatest logit, the lowest one among equals. NaN is never chosen over a number.
// One CTA of 1,024 a row.
#include "block.cuh"

constexpr u32 THREADS = 1024;

extern "C" __global__ void __launch_bounds__(THREADS)
    argmax(const float* logits, u32* tokens, u32 vocabulary) {
    __shared__ Best parts[THREADS / WARP];
    const Best best = block_best<THREADS>(logits + u64(blockIdx.x) * vocabulary, vocabulary, parts);
    if (threadIdx.x == 0) tokens[blockIdx.x] = best.index;
}
