//! What copies and computation cost each other.

use std::cell::RefCell;

use attentionstore_cuda::CudaError;
use attentionstore_cuda::blas::{Blas, Product, ProductOutput};
use attentionstore_cuda::launch::AttentionShape;
use attentionstore_cuda::runtime::{Event, MemoryCopy, Stream, Streams, copy_batch};

use crate::copies::Slices;
use crate::{Bench, GIB, MIB, Outcome, REPEATS, median};

/// Rows, inputs and outputs of the matrix product, and how many of them take about as long as 1 GiB over PCIe.
const PRODUCT: usize = 8192;
const PRODUCTS: usize = 14;

/// Medians in milliseconds.
struct Beside {
    compute: f64,
    to_card: f64,
    to_host: f64,
}

impl Bench {
    /// Batch DMA beside attention and beside matrix products: what each costs the other.
    pub(crate) fn overlap(&self) -> Outcome<()> {
        if !self.wants("overlap") {
            return Ok(());
        }
        let (down, up) = (self.slices()?, self.slices()?);
        self.beside_attention(&down, &up)?;
        self.beside_products(&down, &up)
    }

    fn beside_attention(&self, down: &Slices, up: &Slices) -> Outcome<()> {
        let layer = self.layer(AttentionShape::new(32, 8, 128)?, 1, 32_768)?;
        let prefill = self.prepare(&layer, 32_768)?;
        let attend = || self.attend(&layer, &prefill, Some(prefill.scratch.pointer()));
        let alone = self.time(&self.streams.compute, attend)?;
        let beside = self.beside(&down.copies(256 << 10, true), &up.copies(256 << 10, false), attend)?;
        println!(
            "overlap: attention 32K {alone:.3} ms alone, {:.3} ms beside batch DMA both ways \
             (host → device {:.1} GB/s)",
            beside.compute,
            rate(beside.to_card)
        );
        Ok(())
    }

    /// Each way alone and both at once, while matrix products run all the time.
    fn beside_products(&self, down: &Slices, up: &Slices) -> Outcome<()> {
        let bytes = PRODUCT * PRODUCT * 2;
        let (x, weights, out) = (self.random(bytes)?, self.random(bytes)?, self.buffer(bytes)?);
        let product = Product {
            rows: PRODUCT,
            inputs: PRODUCT,
            outputs: PRODUCT,
            x: x.pointer(),
            weights: weights.pointer(),
            out: out.pointer(),
            kind: ProductOutput::Bf16,
        };
        let blas = RefCell::new(Blas::new(&self.device)?);
        let multiply = || {
            let mut blas = blas.borrow_mut();
            (0..PRODUCTS).try_for_each(|_| blas.multiply(&self.streams.compute, &product))
        };
        for slice in [256 << 10, MIB] {
            let (to_card, to_host) = (down.copies(slice, true), up.copies(slice, false));
            for (way, to_card, to_host) in [
                ("host → device", to_card.as_slice(), [].as_slice()),
                ("device → host", &[], &to_host),
                ("both ways", &to_card, &to_host),
            ] {
                // In turn, so that a card that grows warm slows both.
                let alone = self.time(&self.streams.compute, multiply)?;
                let beside = self.beside(to_card, to_host, multiply)?;
                println!(
                    "overlap: {PRODUCTS} products of {PRODUCT}³ {alone:.2} ms alone, {:.2} ms ({:.3}×) beside batch DMA \
                     {way}, slices of {} KiB (host → device {:.1}, device → host {:.1} GB/s)",
                    beside.compute,
                    beside.compute / alone,
                    slice >> 10,
                    if to_card.is_empty() { 0.0 } else { rate(beside.to_card) },
                    if to_host.is_empty() { 0.0 } else { rate(beside.to_host) },
                );
            }
        }
        Ok(())
    }

    /// `work` on the compute stream, with these copies on the other two at the same time. Each is timed while twice as
    /// much of the other is under way, from its own first call on: enqueueing thousands of copies takes the host
    /// milliseconds, which are no time of the card's.
    fn beside(
        &self,
        to_card: &[MemoryCopy],
        to_host: &[MemoryCopy],
        work: impl Fn() -> Result<(), CudaError>,
    ) -> Outcome<Beside> {
        let [mut compute, mut card, mut host] = [(); 3].map(|()| Vec::new());
        let Streams { load, save, compute: computing, .. } = &self.streams;
        // SAFETY: the ranges live in the caller's slices, beyond the synchronisations below.
        let copy = || unsafe { copy_batch(load, to_card).and_then(|()| copy_batch(save, to_host)) };
        for _ in 0..REPEATS {
            copy()?;
            copy()?;
            let start = self.mark(computing)?;
            work()?;
            compute.push(self.milliseconds_since(&start, computing)?);
            load.synchronize()?;
            save.synchronize()?;

            work()?;
            work()?;
            let starts = (self.mark(load)?, self.mark(save)?);
            copy()?;
            let ends = (self.mark(load)?, self.mark(save)?);
            for (times, start, end) in [(&mut card, &starts.0, &ends.0), (&mut host, &starts.1, &ends.1)] {
                end.synchronize()?;
                times.push(f64::from(end.milliseconds_since(start)?));
            }
            computing.synchronize()?;
        }
        Ok(Beside { compute: median(compute), to_card: median(card), to_host: median(host) })
    }

    fn mark(&self, stream: &Stream) -> Outcome<Event> {
        let event = Event::timed(&self.device)?;
        event.record(stream)?;
        Ok(event)
    }

    /// Waits for the stream.
    fn milliseconds_since(&self, start: &Event, stream: &Stream) -> Outcome<f64> {
        let end = self.mark(stream)?;
        end.synchronize()?;
        Ok(f64::from(end.milliseconds_since(start)?))
    }
}

/// GB/s of 1 GiB in so many milliseconds.
fn rate(milliseconds: f64) -> f64 {
    GIB as f64 / milliseconds / 1e6
}
