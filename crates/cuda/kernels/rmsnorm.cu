// residual[row] += delta[row] (where there is a delta); out[row] = residual/rms(residual)·weight in bf16.
// The residual stream is f32: adding it up in bf16 over many layers loses what a tolerance has to cover.
// One CTA a row; hidden as norm.cuh says.
#include "norm.cuh"

#define RMSNORM(VECTORS)                                                                                     \
    extern "C" __global__ void __launch_bounds__(NORM_THREADS) rmsnorm_##VECTORS(                            \
        float* residual, const u16* delta, const float* weight, u16* out, u32 hidden, float epsilon) {       \
        const u64 start = u64(blockIdx.x) * hidden;                                                          \
        NormRow<VECTORS> row(residual + start, delta == nullptr ? nullptr : delta + start, weight, hidden);  \
        if (delta != nullptr) row.store(residual + start);                                                   \
        row.write(out + start, epsilon);                                                                     \
    }

NORM_INSTANCES(RMSNORM)
