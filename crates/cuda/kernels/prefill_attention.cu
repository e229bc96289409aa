// Causal attention of many new tokens over history blocks and themselves, on tensor cores (mma.sync), after
// FlashAttention-2 (Dao 2023). CTA = (kv head, tile of query rows, split of the keys); the query heads of a
// KV group lie in one tile, so K and V are read once for all of them, and few tokens still fill the rows.
//
// Keys are block-relative. Either the query tile is rotated again for every block (blocked), or the keys
// come rotated from a scratch and the query is rotated once (dense).
#include "prefill.cuh"

struct Problem {
    const u16* q;
    const u16* layer;
    const u16* scratch;  // dense: rotated keys of the only sequence, [key][kv head][dim]
    const u32* block_slots;
    const float2* table;
    u16* out;            // where there is one split
    float* partial;      // where there are several
    float2* partial_scale;
    u32 heads, kv_heads, blocks_per_split;
    float scale;
};

constexpr u32 WARPS = 4;
constexpr u32 THREADS = WARPS * WARP;
constexpr u32 WARP_ROWS = 32;
constexpr u32 ROWS = WARPS * WARP_ROWS;

template <u32 D>
struct Shared {
    // 16 bytes of padding turn the eight rows of a matrix load onto different banks.
    static constexpr u32 STRIDE = D + 8;
    u16 query[ROWS][STRIDE];
    u16 keys[2][BLOCK_TOKENS][STRIDE];
    u16 values[2][BLOCK_TOKENS][STRIDE];
};

template <u32 D, bool DENSE>
struct Attention {
    static constexpr u32 STRIDE = Shared<D>::STRIDE;
    static constexpr u32 VECTORS = D / 8;

    const Problem& problem;
    const QueryTile& tile;
    Shared<D>& shared;
    u32 kv_head, group, warp, lane;
    float out[2][D / 8][4], most[2][2], total[2][2];

    __device__ __forceinline__ u32 last_position() const { return tile.position + tile.tokens - 1; }

    // K and V of a block, zeros for keys that no query of the tile may see: 0 × NaN would be NaN.
    __device__ __forceinline__ void fetch(u32 block, u32 stage) {
        const u32 slot = problem.block_slots[tile.table_start + block];
        const u16* slice = problem.layer + slot * slice_elements(problem.kv_heads, D);
        const u64 row_elements = u64(problem.kv_heads) * D;
        const u16* values = slice + BLOCK_TOKENS * row_elements + kv_head * D;
        const u16* keys =
            (DENSE ? problem.scratch + u64(block) * BLOCK_TOKENS * row_elements : slice) + kv_head * D;
#pragma unroll
        for (u32 i = 0; i < BLOCK_TOKENS * VECTORS / THREADS; ++i) {
            const u32 at = i * THREADS + threadIdx.x, row = at / VECTORS, column = at % VECTORS * 8;
            const bool wanted = block * BLOCK_TOKENS + row <= last_position();
            copy_or_zero(shared_address(&shared.keys[stage][row][column]),
                         keys + row * row_elements + column, wanted);
            copy_or_zero(shared_address(&shared.values[stage][row][column]),
                         values + row * row_elements + column, wanted);
        }
        commit_copies();
    }

    // This warp's rows of the query, turned by their position relative to `start`. A query before the block
    // sees none of its keys and stays zero.
    __device__ __forceinline__ void rotate_query(u32 start) {
        constexpr u32 PAIRS = D / 8;  // vectors of four pairs in a row
        __syncwarp();                 // the rows may still be read for the block before
        for (u32 i = lane; i < WARP_ROWS * PAIRS; i += WARP) {
            const u32 row = warp * WARP_ROWS + i / PAIRS, pair = i % PAIRS * 4;
            const u32 token = row / group, head = kv_head * group + row % group;
            uint2 low = make_uint2(0, 0), high = make_uint2(0, 0);
            if (token < tile.tokens && tile.position + token >= start) {
                const u16* from = problem.q + (u64(tile.first_row + token) * problem.heads + head) * D + pair;
                const float4* turn = reinterpret_cast<const float4*>(
                    problem.table + u64(tile.position + token - start) * (D / 2) + pair);
                const uint2 a = *reinterpret_cast<const uint2*>(from);
                const uint2 b = *reinterpret_cast<const uint2*>(from + D / 2);
                turn_pair(a.x, b.x, turn[0], low.x, high.x);
                turn_pair(a.y, b.y, turn[1], low.y, high.y);
            }
            *reinterpret_cast<uint2*>(&shared.query[row][pair]) = low;
            *reinterpret_cast<uint2*>(&shared.query[row][pair + D / 2]) = high;
        }
        __syncwarp();
    }

    __device__ __forceinline__ void score_block(float score[2][8][4], u32 stage) {
        const u32 queries = shared_address(&shared.query[warp * WARP_ROWS + lane % 16][lane / 16 * 8]);
        const u32 keys = shared_address(&shared.keys[stage][lane % 8 + lane / 16 * 8][lane / 8 % 2 * 8]);
#pragma unroll
        for (u32 m = 0; m < 2; ++m)
#pragma unroll
            for (u32 n = 0; n < 8; ++n)
#pragma unroll
                for (u32 i = 0; i < 4; ++i) score[m][n][i] = 0.0f;
#pragma unroll
        for (u32 k = 0; k < D / 16; ++k) {
            u32 a[2][4], b[4];
            load_matrices(a[0], queries + k * 32);
            load_matrices(a[1], queries + k * 32 + 16 * STRIDE * 2);
#pragma unroll
            for (u32 n = 0; n < 4; ++n) {
                load_matrices(b, keys + k * 32 + n * 16 * STRIDE * 2);
#pragma unroll
                for (u32 m = 0; m < 2; ++m) {
                    mma(score[m][2 * n], a[m], b[0], b[1]);
                    mma(score[m][2 * n + 1], a[m], b[2], b[3]);
                }
            }
        }
    }

    // Keys after a query's own position become −∞.
    __device__ __forceinline__ void mask(float score[2][8][4], u32 block) {
#pragma unroll
        for (u32 m = 0; m < 2; ++m)
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const u32 row = warp * WARP_ROWS + m * 16 + lane / 4 + i / 2 * 8;
                const u32 limit = tile.position + row / group;
#pragma unroll
                for (u32 n = 0; n < 8; ++n) {
                    const u32 key = block * BLOCK_TOKENS + n * 8 + lane % 4 * 2 + i % 2;
                    if (key > limit) score[m][n][i] = negative_infinity();
                }
            }
    }

    // Online softmax: scores become weights, what was summed before is rescaled. The scale is applied in
    // the exponent, where it costs nothing. A row that has seen no key yet keeps a maximum of −∞.
    __device__ __forceinline__ void weigh(float score[2][8][4]) {
#pragma unroll
        for (u32 m = 0; m < 2; ++m)
#pragma unroll
            for (u32 h = 0; h < 2; ++h) {
                float next = most[m][h];
#pragma unroll
                for (u32 n = 0; n < 8; ++n)
                    next = fmaxf(next, fmaxf(score[m][n][2 * h], score[m][n][2 * h + 1]));
                next = fmaxf(next, __shfl_xor_sync(EVERY_LANE, next, 1));
                next = fmaxf(next, __shfl_xor_sync(EVERY_LANE, next, 2));
                const float base = next == negative_infinity() ? 0.0f : next * problem.scale;
                const float shrink = power_of_two(most[m][h] * problem.scale - base);
                float sum = 0.0f;
#pragma unroll
                for (u32 n = 0; n < 8; ++n) {
                    sum += score[m][n][2 * h] = power_of_two(score[m][n][2 * h] * problem.scale - base);
                    sum += score[m][n][2 * h + 1] = power_of_two(score[m][n][2 * h + 1] * problem.scale - base);
                }
                most[m][h] = next, total[m][h] = total[m][h] * shrink + sum;
#pragma unroll
                for (u32 n = 0; n < D / 8; ++n) out[m][n][2 * h] *= shrink, out[m][n][2 * h + 1] *= shrink;
            }
    }

    __device__ __forceinline__ void add_values(const float weight[2][8][4], u32 stage) {
        const u32 values = shared_address(&shared.values[stage][lane % 16][lane / 16 * 8]);
#pragma unroll
        for (u32 k = 0; k < BLOCK_TOKENS / 16; ++k) {
            u32 a[2][4], b[4];
#pragma unroll
            for (u32 m = 0; m < 2; ++m)
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    const float* pair = &weight[m][2 * k + i / 2][i % 2 * 2];
                    a[m][i] = pack_bf16(pair[0], pair[1]);
                }
#pragma unroll
            for (u32 n = 0; n < D / 16; ++n) {
                load_matrices_transposed(b, values + k * 16 * STRIDE * 2 + n * 32);
#pragma unroll
                for (u32 m = 0; m < 2; ++m) {
                    mma(out[m][2 * n], a[m], b[0], b[1]);
                    mma(out[m][2 * n + 1], a[m], b[2], b[3]);
                }
            }
        }
    }

    __device__ __forceinline__ void run(u32 first_block, u32 end_block) {
#pragma unroll
        for (u32 m = 0; m < 2; ++m)
#pragma unroll
            for (u32 h = 0; h < 2; ++h) {
                most[m][h] = negative_infinity(), total[m][h] = 0.0f;
#pragma unroll
                for (u32 n = 0; n < D / 8; ++n) out[m][n][2 * h] = out[m][n][2 * h + 1] = 0.0f;
            }
        fetch(first_block, 0);
        if (DENSE) rotate_query(0);
        for (u32 block = first_block, stage = 0; block < end_block; ++block, stage ^= 1) {
            if (!DENSE) rotate_query(block * BLOCK_TOKENS);
            wait_for_copies();
            __syncthreads();
            if (block + 1 < end_block) fetch(block + 1, stage ^ 1);
            float score[2][8][4];
            score_block(score, stage);
            if (block * BLOCK_TOKENS + BLOCK_TOKENS - 1 > tile.position) mask(score, block);
            weigh(score);
            add_values(score, stage);
        }
    }

    __device__ __forceinline__ void write(u32 split, u32 splits) {
#pragma unroll
        for (u32 m = 0; m < 2; ++m)
#pragma unroll
            for (u32 h = 0; h < 2; ++h) {
                float sum = total[m][h];
                sum += __shfl_xor_sync(EVERY_LANE, sum, 1);
                sum += __shfl_xor_sync(EVERY_LANE, sum, 2);
                const u32 row = warp * WARP_ROWS + m * 16 + lane / 4 + h * 8, token = row / group;
                if (token >= tile.tokens) continue;
                const u32 head = kv_head * group + row % group;
                const u64 query = tile.first_row + token, whole = query * problem.heads + head;
                const u64 part = (query * splits + split) * problem.heads + head;
                if (splits > 1 && lane % 4 == 0) {
                    problem.partial_scale[part] = make_float2(most[m][h] * problem.scale, sum);
                }
#pragma unroll
                for (u32 n = 0; n < D / 8; ++n) {
                    const u32 dim = n * 8 + lane % 4 * 2;
                    const float a = out[m][n][2 * h], b = out[m][n][2 * h + 1];
                    if (splits > 1) {
                        *reinterpret_cast<float2*>(problem.partial + part * D + dim) = make_float2(a, b);
                    } else {
                        *reinterpret_cast<u32*>(problem.out + whole * D + dim) = pack_bf16(a / sum, b / sum);
                    }
                }
            }
    }
};

template <u32 D, bool DENSE>
__device__ __forceinline__ void attend(const QueryTile* tiles, const Problem& problem) {
    extern __shared__ __align__(16) unsigned char memory[];
    // The last tiles see the most keys: they go first.
    const QueryTile tile = tiles[gridDim.y - 1 - blockIdx.y];
    const u32 first_block = blockIdx.z * problem.blocks_per_split;
    const u32 blocks = (tile.position + tile.tokens - 1) / BLOCK_TOKENS + 1;
    if (first_block >= blocks) return;
    Attention<D, DENSE> attention{problem,
                                  tile,
                                  *reinterpret_cast<Shared<D>*>(memory),
                                  blockIdx.x,
                                  problem.heads / problem.kv_heads,
                                  threadIdx.x / WARP,
                                  threadIdx.x % WARP};
    attention.run(first_block, min(first_block + problem.blocks_per_split, blocks));
    attention.write(blockIdx.z, gridDim.z);
}

#define PREFILL_ATTENTION(D, NAME, DENSE)                                                                    \
    extern "C" __global__ void __launch_bounds__(THREADS, 2) prefill_attention_##NAME##_##D(                 \
        const QueryTile* tiles, const u16* q, const u16* layer, const u16* scratch, const u32* block_slots,  \
        const float2* table, u16* out, float* partial, float2* partial_scale, u32 heads, u32 kv_heads,       \
        u32 blocks_per_split, float scale) {                                                                 \
        attend<D, DENSE>(tiles, Problem{q, layer, scratch, block_slots, table, out, partial, partial_scale,  \
                                        heads, kv_heads, blocks_per_split, scale});                          \
    }

PREFILL_ATTENTION(64, blocked, false)
PREFILL_ATTENTION(96, blocked, false)
PREFILL_ATTENTION(128, blocked, false)
PREFILL_ATTENTION(64, dense, true)
PREFILL_ATTENTION(96, dense, true)
PREFILL_ATTENTION(128, dense, true)
