//! The KV cache: bytes a block, blocks, tokens and how many requests fit, as the engine computes them
//! (`v1/core/kv_cache_utils.py`, `v1/kv_cache_interface.py`).

use crate::catalog::PrintedTokens;
use crate::engine::era::Era;
use crate::engine::launch::Launch;
use crate::model::spec::{Layer, Mixer, ModelSpec, Span};
use crate::plan::budget::KvCache;
use crate::plan::kv_dtype::KvDtype;
use crate::plan::sharding::{Stage, local_kv_heads};
use crate::units::Bytes;

/// How many tokens of a request a layer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Keeps {
    /// All.
    Everything,
    /// The last so many, and what one step adds.
    Window(u64),
    /// Its own chunk, and what one step adds.
    Chunk(u64),
    /// One state, whatever the length.
    State,
}

/// What one layer stores: the spec that the engine groups layers by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LayerCache {
    keeps: Keeps,
    /// Bytes a token (attention), or of the whole state (recurrent).
    bytes: u64,
    /// Tokens a block of this layer.
    block_size: u64,
    /// Bytes a block.
    page: u64,
}

/// Layers that share one block table.
#[derive(Clone, Copy, Debug)]
struct Group {
    cache: LayerCache,
    layers: u64,
}

/// The layout of one rank's cache: what a block of the pool costs and how many blocks a request needs.
#[derive(Clone, Debug)]
pub struct Layout {
    groups: Vec<Group>,
    /// Bytes of one block of the pool, all its layers together.
    pub pool_block: Bytes,
    /// Tokens a block of the attention layers.
    pub block_size: u64,
    /// Bytes that one more token takes in all layers, while it is inside their windows.
    pub bytes_per_token: Bytes,
    in_flight: u64,
    decode_context: u64,
    state_pages: u64,
}

/// The layout of `stage`'s layers under `launch`; `None` if no layer caches anything.
pub fn layout(model: &ModelSpec, launch: &Launch, era: &Era, stage: &Stage) -> Option<Layout> {
    let dtype = KvDtype::named(&launch.kv_cache_dtype, launch.dtype);
    let range = stage.layers.start as usize..stage.layers.end as usize;
    let layers = model.layers.get(range).unwrap_or(&model.layers);
    let mut caches: Vec<LayerCache> =
        layers.iter().flat_map(|layer| layer_caches(layer, launch, dtype, launch.hybrid_kv_cache_manager)).collect();
    if caches.is_empty() {
        return None;
    }
    let bytes_per_token: u64 = caches.iter().filter(|cache| cache.keeps != Keeps::State).map(|cache| cache.bytes).sum();
    let block_size = unify_pages(&mut caches, launch.block_size);
    let groups = group(&caches);
    let pool_block = if groups.len() == 1 {
        caches.iter().map(|cache| cache.page).sum()
    } else {
        let largest = groups.iter().map(|group| group.layers).max().unwrap_or(0);
        largest * caches.iter().map(|cache| cache.page).max().unwrap_or(0)
    };
    Some(Layout {
        groups,
        pool_block: Bytes(pool_block),
        block_size,
        bytes_per_token: Bytes(bytes_per_token),
        in_flight: launch.max_num_batched_tokens * steps_in_flight(launch, era),
        decode_context: launch.parallel.decode_context,
        state_pages: if launch.prefix_caching { 2 } else { 1 },
    })
}

/// Steps whose tokens are held at once, for windows: from 0.26 the engine counts every batch in flight.
const fn steps_in_flight(launch: &Launch, era: &Era) -> u64 {
    if !era.in_flight_by_batches {
        1
    } else if launch.parallel.pipeline > 1 {
        launch.parallel.pipeline
    } else if launch.async_scheduling {
        2
    } else {
        1
    }
}

/// What `layer` stores on one rank. A sparse-attention layer has a second cache, its indexer's keys; a layer
/// with attention and a recurrent block has one of each.
fn layer_caches(layer: &Layer, launch: &Launch, dtype: KvDtype, windows_apart: bool) -> impl Iterator<Item = LayerCache> {
    layer.caches().flat_map(move |mixer| mixer_caches(mixer, launch, dtype, windows_apart).into_iter().flatten())
}

/// The caches of one mixer: none has more than three.
fn mixer_caches(mixer: &Mixer, launch: &Launch, dtype: KvDtype, windows_apart: bool) -> [Option<LayerCache>; 3] {
    let tensor = launch.parallel.tensor;
    let attention = |bytes: u64, keeps: Keeps| LayerCache { keeps, bytes, block_size: launch.block_size, page: bytes * launch.block_size };
    let window = |tokens: u64| {
        if windows_apart && tokens < launch.max_model_len { Keeps::Window(tokens) } else { Keeps::Everything }
    };
    match *mixer {
        Mixer::Attention { kv_heads, head_dim, v_head_dim, span, .. } => {
            let keeps = match span {
                Span::Sliding(tokens) => window(tokens),
                Span::Chunked(chunk) if windows_apart => Keeps::Chunk(chunk),
                Span::Full | Span::Chunked(_) => Keeps::Everything,
            };
            [Some(attention(dtype.attention_bytes(local_kv_heads(kv_heads, tensor), head_dim, v_head_dim), keeps)), None, None]
        }
        Mixer::Latent { kv_lora_rank, qk_rope_head_dim, index_head_dim, .. } => {
            let latent = attention(dtype.latent_bytes(kv_lora_rank + qk_rope_head_dim), Keeps::Everything);
            [Some(latent), index_head_dim.map(|elements| attention(indexer_bytes(elements), Keeps::Everything)), None]
        }
        Mixer::CompressedLatent { head_dim, window: tokens, ratio, index_head_dim, .. } => {
            let latent = dtype.latent_bytes(head_dim);
            let compressed = |bytes: u64| ratio.map(|ratio| attention(bytes.div_ceil(ratio), Keeps::Everything));
            let indexer = index_head_dim.and_then(|elements| compressed(indexer_bytes(elements)));
            [Some(attention(latent, window(tokens))), compressed(latent), indexer]
        }
        Mixer::Recurrent { conv_elements, state_elements, .. } => {
            let bytes = (conv_elements.div_ceil(tensor) + state_elements.div_ceil(tensor)) * launch.dtype.bytes();
            [Some(LayerCache { keeps: Keeps::State, bytes, block_size: launch.block_size, page: bytes }), None, None]
        }
        Mixer::Shared { .. } | Mixer::Parallel { .. } | Mixer::None => [None; 3],
    }
}

/// DeepSeek sparse attention stores the indexer's key as fp8 with one 4-byte scale for 128 elements
/// (`DeepseekV32IndexerCache`).
const fn indexer_bytes(elements: u64) -> u64 {
    elements + elements / 128 * 4
}

/// All layers of a pool need pages of one size: recurrent layers push the attention block size up until its
/// page holds a state, and are padded to it; smaller attention pages get more tokens a block. Returns the
/// attention block size.
fn unify_pages(caches: &mut [LayerCache], block_size: u64) -> u64 {
    let state = caches.iter().filter(|cache| cache.keeps == Keeps::State).map(|cache| cache.bytes).max();
    let token = caches.iter().filter(|cache| cache.keeps != Keeps::State).map(|cache| cache.bytes).max();
    let block_size = match (state, token) {
        (Some(state), Some(token)) if token > 0 => block_size.max(state.div_ceil(token).next_multiple_of(16)),
        _ => block_size,
    };
    for cache in caches.iter_mut().filter(|cache| cache.keeps != Keeps::State) {
        cache.block_size = block_size;
        cache.page = cache.bytes * block_size;
    }
    let largest = caches.iter().map(|cache| cache.page).max().unwrap_or(0);
    let kinds_differ = caches.iter().any(|cache| cache.keeps != caches[0].keeps);
    for cache in caches.iter_mut().filter(|cache| cache.page > 0 && cache.page < largest) {
        if cache.keeps == Keeps::State {
            cache.page = largest;
        } else if kinds_differ && largest % cache.page == 0 {
            cache.block_size *= largest / cache.page;
            cache.page = largest;
        } else if kinds_differ {
            cache.page = largest;
        }
    }
    block_size
}

/// Groups of equal size (`_get_kv_cache_groups_uniform_page_size`): as many layers as the rarest kind has, or
/// as the most frequent one, when that has less than one and a half times as many.
fn group(caches: &[LayerCache]) -> Vec<Group> {
    let mut kinds: Vec<Group> = Vec::new();
    let one_kind = caches.iter().all(|cache| cache.keeps == caches[0].keeps);
    for cache in caches {
        match kinds.iter_mut().find(|kind| one_kind || kind.cache == *cache) {
            Some(kind) => kind.layers += 1,
            None => kinds.push(Group { cache: *cache, layers: 1 }),
        }
    }
    if kinds.len() == 1 {
        return kinds;
    }
    let fewest = kinds.iter().map(|kind| kind.layers).min().unwrap_or(1);
    let most = kinds.iter().map(|kind| kind.layers).max().unwrap_or(1);
    let size = if 2 * most < 3 * fewest { most } else { fewest };
    kinds
        .iter()
        .flat_map(|kind| std::iter::repeat_n(Group { cache: kind.cache, layers: size }, kind.layers.div_ceil(size) as usize))
        .collect()
}

impl Layout {
    /// Blocks of the pool that one request of `length` tokens needs at most.
    pub fn request_blocks(&self, length: u64) -> u64 {
        self.groups.iter().map(|group| self.group_blocks(group, length)).sum()
    }

    fn group_blocks(&self, group: &Group, length: u64) -> u64 {
        let block = group.cache.block_size.max(1);
        match group.cache.keeps {
            Keeps::Everything => length.div_ceil(self.decode_context.max(1)).div_ceil(block),
            Keeps::Window(window) => (window.saturating_sub(1) + self.in_flight).min(length).div_ceil(block) + 1,
            Keeps::Chunk(chunk) => (chunk + self.in_flight).min(length).div_ceil(block),
            Keeps::State => self.state_pages,
        }
    }

    /// Bytes that one request of `length` tokens needs: what the admission check compares.
    pub fn request_bytes(&self, length: u64) -> Bytes {
        self.pool_block * self.request_blocks(length)
    }

    /// The longest request that fits in `available` bytes, found as the engine finds it; zero if none does.
    pub fn longest_request(&self, available: Bytes, limit: u64) -> u64 {
        let (mut low, mut high) = (0, limit);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.request_bytes(middle) <= available { low = middle } else { high = middle - 1 }
        }
        low
    }

    /// The cache that `available` bytes make.
    pub fn cache(&self, available: Bytes, launch: &Launch, era: &Era) -> KvCache {
        self.cache_of_blocks(available.0 / self.pool_block.0.max(1), launch, era)
    }

    /// The cache of `blocks` blocks: with pipeline parallelism all ranks get the fewest that any has.
    pub fn cache_of_blocks(&self, blocks: u64, launch: &Launch, era: &Era) -> KvCache {
        let request_blocks = self.request_blocks(launch.max_model_len).max(1);
        let smallest_block = self.groups.iter().map(|group| group.cache.block_size).min().unwrap_or(1);
        let groups = self.groups.len() as u64;
        let by_blocks = blocks * self.block_size;
        let by_groups = blocks / groups.max(1) * smallest_block * self.decode_context;
        let max_concurrency = match era.printed_tokens {
            PrintedTokens::Blocks => by_blocks as f64 / launch.max_model_len.max(1) as f64,
            PrintedTokens::BlocksPerGroup | PrintedTokens::ConcurrencyTimesLength => blocks as f64 / request_blocks as f64,
        };
        KvCache {
            bytes: self.pool_block * blocks,
            tokens: match era.printed_tokens {
                PrintedTokens::Blocks => by_blocks,
                PrintedTokens::BlocksPerGroup => by_groups,
                PrintedTokens::ConcurrencyTimesLength => (max_concurrency * launch.max_model_len as f64) as u64,
            },
            blocks,
            block_size: self.block_size,
            bytes_per_token: self.bytes_per_token,
            max_concurrency,
            request_bytes: self.pool_block * request_blocks,
        }
    }
}
