// Prefill attention for Hopper at head dim 128, over keys rotated once (dense), after FlashAttention-3 (Shah
// et al. 2024): one thread feeds tiles of 128 keys to the copy engine, two stages ahead; two warpgroups of 64
// query rows each take turns at the tensor cores, so that one's softmax runs beside the other's products, and
// each starts its next scores before it multiplies the last weights with V.
//
// CTA = (kv head, tile of query rows, split of the keys).
#include "bulk.cuh"
#include "prefill.cuh"
#include "wgmma.cuh"

constexpr u32 D = 128;
constexpr u32 GROUP_THREADS = 4 * WARP;
constexpr u32 GROUPS = 2;  // that compute; a third one, before them, has the thread that asks for copies
constexpr u32 THREADS = (1 + GROUPS) * GROUP_THREADS;
constexpr u32 GROUP_ROWS = 64;
constexpr u32 ROWS = GROUPS * GROUP_ROWS;
constexpr u32 KEYS = 2 * BLOCK_TOKENS;
constexpr u32 STAGES = 2;
constexpr u32 TILE_BYTES = KEYS * D * 2;
constexpr u32 PART_BYTES = KEYS * PART_ROW_BYTES;
static_assert(ROWS == KEYS, "queries and keys lie in tiles of one shape");

// The named barriers of the warpgroups that compute: both of them, each by itself, each one's turn.
constexpr u32 BOTH = 1, ALONE = 2, TURN = ALONE + GROUPS;

template <u32 COUNT>
__device__ __forceinline__ void meet(u32 barrier) {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(COUNT) : "memory");
}

template <u32 COUNT>
__device__ __forceinline__ void announce(u32 barrier) {
    asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "n"(COUNT) : "memory");
}

// Where things lie in shared memory: tiles of queries, keys and values, then the stages' barriers.
struct Places {
    u32 start;

    __device__ __forceinline__ u32 queries() const { return start; }
    __device__ __forceinline__ u32 keys(u32 j) const { return start + (1 + j % STAGES) * TILE_BYTES; }
    __device__ __forceinline__ u32 values(u32 j) const { return start + (1 + STAGES + j % STAGES) * TILE_BYTES; }
    // Of tile j's stage: keys and values that have arrived, keys and values that have been used.
    __device__ __forceinline__ u32 barrier(u32 kind, u32 j) const {
        return start + (1 + 2 * STAGES) * TILE_BYTES + (kind * STAGES + j % STAGES) * 8;
    }
    __device__ __forceinline__ u32 keys_there(u32 j) const { return barrier(0, j); }
    __device__ __forceinline__ u32 values_there(u32 j) const { return barrier(1, j); }
    __device__ __forceinline__ u32 keys_used(u32 j) const { return barrier(2, j); }
    __device__ __forceinline__ u32 values_used(u32 j) const { return barrier(3, j); }
};

// The parity of tile j's phase at the barriers of its stage.
__device__ __forceinline__ u32 phase(u32 j) { return j / STAGES % 2; }

__device__ __forceinline__ void make_barriers(const Places& places) {
    for (u32 stage = 0; stage < STAGES; ++stage) {
        init_barrier(places.keys_there(stage), 1);
        init_barrier(places.values_there(stage), 1);
        init_barrier(places.keys_used(stage), GROUPS * GROUP_THREADS / WARP);
        init_barrier(places.values_used(stage), GROUPS * GROUP_THREADS / WARP);
    }
    show_barriers();
}

// Blocks that a CTA takes, in tiles of two; the last tile may have one.
struct Blocks {
    u32 first, end;

    __device__ __forceinline__ u32 tiles() const { return (end - first + 1) / 2; }
    __device__ __forceinline__ u32 first_key(u32 j) const { return (first + 2 * j) * BLOCK_TOKENS; }
};

// One thread: asks for the tiles of keys and values in the order in which they are needed, a stage as soon as
// it has been used. Where a tile has but one block its values come twice; nobody counts the second ones.
__device__ __forceinline__ void feed(const Places& places, const Blocks& blocks, const TensorMap& key_map,
                                     const TensorMap& value_map, const u32* slots, u32 kv_head) {
    for (u32 j = 0; j < blocks.tiles(); ++j) {
        const u32 block = blocks.first + 2 * j;
        const u32 slot[2] = {slots[block], slots[min(block + 1, blocks.end - 1)]};
        wait_at(places.keys_used(j), phase(j) ^ 1);
        expect_bytes(places.keys_there(j), TILE_BYTES);
#pragma unroll
        for (u32 part = 0; part < D / PART_COLUMNS; ++part)
            copy_box(places.keys(j) + part * PART_BYTES, key_map, places.keys_there(j), part * PART_COLUMNS,
                     kv_head, blocks.first_key(j));
        wait_at(places.values_used(j), phase(j) ^ 1);
        expect_bytes(places.values_there(j), TILE_BYTES);
#pragma unroll
        for (u32 half = 0; half < 2; ++half)
#pragma unroll
            for (u32 part = 0; part < D / PART_COLUMNS; ++part)
                copy_box(places.values(j) + part * PART_BYTES + half * BLOCK_TOKENS * PART_ROW_BYTES, value_map,
                         places.values_there(j), part * PART_COLUMNS, kv_head, 0, 1, slot[half]);
    }
}

// Of all tiles: queries, the table of rotations, and where results go.
struct Rows {
    const u16* q;
    const float2* table;
    u16* out;            // where there is one split
    float* partial;      // where there are several
    float2* partial_scale;
    u32 heads;
    float scale;
};

// A warpgroup's 64 rows.
struct Attention {
    const Rows& rows;
    const QueryTile& tile;
    const Places& places;
    const Blocks& blocks;
    u32 kv_head, group;
    u32 warpgroup, thread;  // of those that compute, and inside it
    u32 own_row;            // of the lane: the first of its two
    float out[64], score[64], most[2], total[2];
    u32 weights[KEYS / 16][4];

    __device__ __forceinline__ void load_queries() {
        constexpr u32 PAIRS = D / 8;  // vectors of four pairs in a row
        for (u32 i = thread; i < GROUP_ROWS * PAIRS; i += GROUP_THREADS) {
            const u32 row = warpgroup * GROUP_ROWS + i / PAIRS, pair = i % PAIRS * 4;
            const u32 token = row / group, head = kv_head * group + row % group;
            uint2 low = make_uint2(0, 0), high = make_uint2(0, 0);
            if (token < tile.tokens) {
                const u16* from = rows.q + (u64(tile.first_row + token) * rows.heads + head) * D + pair;
                const float4* turn = reinterpret_cast<const float4*>(
                    rows.table + u64(tile.position + token) * (D / 2) + pair);
                const uint2 a = *reinterpret_cast<const uint2*>(from);
                const uint2 b = *reinterpret_cast<const uint2*>(from + D / 2);
                turn_pair(a.x, b.x, turn[0], low.x, high.x);
                turn_pair(a.y, b.y, turn[1], low.y, high.y);
            }
            store_pair(places.queries() + swizzled(ROWS, row, pair), low);
            store_pair(places.queries() + swizzled(ROWS, row, pair + D / 2), high);
        }
        show_writes_to_products();
        meet<GROUP_THREADS>(ALONE + warpgroup);
    }

    __device__ static __forceinline__ void store_pair(u32 address, uint2 words) {
        asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(address), "r"(words.x), "r"(words.y) : "memory");
    }

    // Starts score = queries · keysᵀ of tile j.
    __device__ __forceinline__ void start_scores(u32 j) {
        const u32 own = places.queries() + warpgroup * GROUP_ROWS * PART_ROW_BYTES, stage = places.keys(j);
#pragma unroll
        for (u32 k = 0; k < D / 16; ++k) {
            const u32 offset = k / 4 * PART_BYTES + k % 4 * 32;
            warpgroup_mma_rows(score, describe(own + offset, 0), describe(stage + offset, 0), k > 0);
        }
        commit_products();
    }

    // Starts out += weights · values of tile j.
    __device__ __forceinline__ void start_values(u32 j) {
        const u32 stage = places.values(j);
#pragma unroll
        for (u32 k = 0; k < KEYS / 16; ++k) {
            warpgroup_mma_columns(out, weights[k], describe(stage + k * 16 * PART_ROW_BYTES, PART_BYTES));
        }
        commit_products();
    }

    __device__ __forceinline__ void mask(u32 j) {
        const u32 first = blocks.first_key(j), end = blocks.end * BLOCK_TOKENS;
        if (first + KEYS <= end && first + KEYS - 1 <= tile.position) return;
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const u32 limit = min(tile.position + (own_row + 8 * h) / group, end - 1);
#pragma unroll
            for (u32 n = 0; n < KEYS / 8; ++n)
#pragma unroll
                for (u32 i = 0; i < 2; ++i) {
                    const u32 key = first + n * 8 + thread % 4 * 2 + i;
                    if (key > limit) score[4 * n + 2 * h + i] = negative_infinity();
                }
        }
    }

    // Online softmax: scores become weights; what was summed before has to shrink by `shrink`.
    __device__ __forceinline__ void weigh(float shrink[2]) {
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            float next = most[h];
#pragma unroll
            for (u32 n = 0; n < KEYS / 8; ++n)
                next = fmaxf(next, fmaxf(score[4 * n + 2 * h], score[4 * n + 2 * h + 1]));
            next = fmaxf(next, __shfl_xor_sync(EVERY_LANE, next, 1));
            next = fmaxf(next, __shfl_xor_sync(EVERY_LANE, next, 2));
            const float base = next == negative_infinity() ? 0.0f : next * rows.scale;
            shrink[h] = power_of_two(most[h] * rows.scale - base);
            float sum = 0.0f;
#pragma unroll
            for (u32 n = 0; n < KEYS / 8; ++n)
#pragma unroll
                for (u32 i = 0; i < 2; ++i) {
                    float& each = score[4 * n + 2 * h + i];
                    sum += each = power_of_two(each * rows.scale - base);
                }
            most[h] = next, total[h] = total[h] * shrink[h] + sum;
        }
    }

    __device__ __forceinline__ void pack_weights() {
#pragma unroll
        for (u32 k = 0; k < KEYS / 16; ++k)
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const u32 at = 4 * (2 * k + i / 2) + i % 2 * 2;
                weights[k][i] = pack_bf16(score[at], score[at + 1]);
            }
    }

    // Zeros for values that no query of the tile may see: 0 × NaN would be NaN.
    __device__ __forceinline__ void clear_unseen_values(u32 j) {
        const u32 end = min(tile.position + tile.tokens, blocks.end * BLOCK_TOKENS), first = blocks.first_key(j);
        if (first + KEYS <= end) return;
        constexpr u32 PAIRS = D / 4;
        for (u32 i = warpgroup * GROUP_THREADS + thread; i < (first + KEYS - end) * PAIRS; i += GROUPS * GROUP_THREADS)
            store_pair(places.values(j) + swizzled(KEYS, end - first + i / PAIRS, i % PAIRS * 4), make_uint2(0, 0));
        show_writes_to_products();
        meet<GROUPS * GROUP_THREADS>(BOTH);
    }

    __device__ __forceinline__ void take_turn() { meet<GROUPS * GROUP_THREADS>(TURN + warpgroup); }
    __device__ __forceinline__ void pass_turn() {
        announce<GROUPS * GROUP_THREADS>(TURN + (warpgroup + 1) % GROUPS);
    }
    __device__ __forceinline__ void used(u32 barrier) {
        if (thread % WARP == 0) arrive_at(barrier);
    }

    // Tile j's keys were used before its softmax, but the assembler would move the exponentials behind the wait
    // for the products that they are meant to run beside. It cannot move them behind this arrival, which hangs on
    // their sums. A sum of them is never negative.
    __device__ __forceinline__ void used_after_softmax(u32 barrier) {
        if (thread % WARP == 0 && !(total[0] < 0.0f) && !(total[1] < 0.0f)) arrive_at(barrier);
    }

    __device__ __forceinline__ void run() {
#pragma unroll
        for (u32 i = 0; i < 64; ++i) out[i] = 0.0f;
        most[0] = most[1] = negative_infinity(), total[0] = total[1] = 0.0f;
        if (warpgroup != 0) pass_turn();
        load_queries();
        float shrink[2];
        wait_at(places.keys_there(0), 0);
        begin_products();
        start_scores(0);
        wait_for_products<0>();
        results_are_ready(score);
        used(places.keys_used(0));
        mask(0);
        weigh(shrink);
        pack_weights();
        const u32 tiles = blocks.tiles();
        for (u32 j = 1; j < tiles; ++j) {
            wait_at(places.keys_there(j), phase(j));
            take_turn();
            begin_products();
            start_scores(j);
            wait_at(places.values_there(j - 1), phase(j - 1));
            start_values(j - 1);
            pass_turn();
            wait_for_products<1>();
            results_are_ready(score);
            mask(j);
            weigh(shrink);
            used_after_softmax(places.keys_used(j));
            wait_for_products<0>();
            results_are_ready(out);
            used(places.values_used(j - 1));
#pragma unroll
            for (u32 i = 0; i < 64; ++i) out[i] *= shrink[i / 2 % 2];
            pack_weights();
        }
        wait_at(places.values_there(tiles - 1), phase(tiles - 1));
        clear_unseen_values(tiles - 1);
        begin_products();
        start_values(tiles - 1);
        wait_for_products<0>();
        results_are_ready(out);
    }

    __device__ __forceinline__ void write(u32 split, u32 splits) const {
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            float sum = total[h];
            sum += __shfl_xor_sync(EVERY_LANE, sum, 1);
            sum += __shfl_xor_sync(EVERY_LANE, sum, 2);
            const u32 row = own_row + 8 * h, token = row / group, t = thread % 4;
            if (token >= tile.tokens) continue;
            const u32 head = kv_head * group + row % group;
            const u64 query = tile.first_row + token;
            const u64 whole = query * rows.heads + head;
            const u64 part = (query * splits + split) * rows.heads + head;
            if (splits > 1 && t == 0) rows.partial_scale[part] = make_float2(most[h] * rows.scale, sum);
#pragma unroll
            for (u32 n = 0; n < D / 8; ++n) {
                const u32 dim = n * 8 + t * 2;
                const float a = out[4 * n + 2 * h], b = out[4 * n + 2 * h + 1];
                if (splits > 1) {
                    *reinterpret_cast<float2*>(rows.partial + part * D + dim) = make_float2(a, b);
                } else {
                    *reinterpret_cast<u32*>(rows.out + whole * D + dim) = pack_bf16(a / sum, b / sum);
                }
            }
        }
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 1) prefill_attention_hopper_128(
    const __grid_constant__ TensorMap key_map, const __grid_constant__ TensorMap value_map, const QueryTile* tiles,
    const u16* q, const u32* block_slots, const float2* table, u16* out, float* partial, float2* partial_scale,
    u32 heads, u32 kv_heads, u32 blocks_per_split, float scale) {
    extern __shared__ __align__(1024) unsigned char memory[];
    // The last tiles see the most keys: they go first.
    const QueryTile tile = tiles[gridDim.y - 1 - blockIdx.y];
    const u32 first_block = blockIdx.z * blocks_per_split;
    const u32 seen_blocks = (tile.position + tile.tokens - 1) / BLOCK_TOKENS + 1;
    if (first_block >= seen_blocks) return;
    const Blocks blocks{first_block, min(first_block + blocks_per_split, seen_blocks)};
    const Places places{shared_address(memory)};
    if (threadIdx.x == 0) make_barriers(places);
    __syncthreads();
    if (threadIdx.x < GROUP_THREADS) {
        give_registers_up<24>();
        if (threadIdx.x == 0)
            feed(places, blocks, key_map, value_map, block_slots + tile.table_start, blockIdx.x);
    } else {
        take_registers<240>();
        const Rows rows{q, table, out, partial, partial_scale, heads, scale};
        const u32 thread = threadIdx.x % GROUP_THREADS, warpgroup = threadIdx.x / GROUP_THREADS - 1;
        const u32 own_row = warpgroup * GROUP_ROWS + thread / WARP * 16 + thread % WARP / 4;
        Attention attention{rows, tile, places, blocks, blockIdx.x, heads / kv_heads, warpgroup, thread, own_row};
        attention.run();
        attention.write(blockIdx.z, gridDim.z);
    }
}
