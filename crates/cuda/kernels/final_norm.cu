// out[i] = x/rms(x)·weight in bf16 of x = residual[r] + delta[r], r = rows[i], or i where no rows are named: only
// rows whose logits are wanted. Writes nothing back, so it may be asked for again. One CTA a row; hidden as
// norm.cuh says.
#include "norm.cuh"

#define FINAL_NORM(VECTORS)                                                                                  \
    extern "C" __global__ void __launch_bounds__(NORM_THREADS) final_norm_##VECTORS(                         \
        const float* residual, const u16* delta, const u32* rows, const float* weight, u16* out, u32 hidden, \
        float epsilon) {                                                                                     \
        const u64 start = u64(rows == nullptr ? blockIdx.x : rows[blockIdx.x]) * hidden;                     \
        u16* to = out + u64(blockIdx.x) * hidden;                                                            \
        NormRow<VECTORS>(residual + start, delta + start, weight, hidden).write(to, epsilon);                \
    }

NORM_INSTANCES(FINAL_NORM)
