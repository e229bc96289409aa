//! What the assembler says of a kernel: registers, stack and spills.

/// The resources of one kernel function, from `ptxas -v`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelResources {
    /// The function's name, mangled as the assembler prints it.
    pub function: String,
    pub registers: u32,
    pub stack_bytes: u32,
    pub spill_store_bytes: u32,
    pub spill_load_bytes: u32,
}

/// Reads the figures of every function out of a compiler's log. Lines that are not understood are passed by.
pub fn parse_resources(log: &str) -> Vec<KernelResources> {
    let mut functions: Vec<KernelResources> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let function = rest.split('\'').next().unwrap_or_default().to_owned();
            functions.push(KernelResources { function, ..KernelResources::default() });
            continue;
        }
        let Some(current) = functions.last_mut() else { continue };
        let figure = |after: &str| number_before(line, after);
        if let Some(bytes) = figure(" bytes stack frame") {
            current.stack_bytes = bytes;
            current.spill_store_bytes = figure(" bytes spill stores").unwrap_or(0);
            current.spill_load_bytes = figure(" bytes spill loads").unwrap_or(0);
        }
        if let Some(registers) = figure(" registers") {
            current.registers = registers;
        }
    }
    functions
}

fn number_before(line: &str, words: &str) -> Option<u32> {
    let before = &line[..line.find(words)?];
    let digits = before.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    before[digits..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "ptxas info    : 0 bytes gmem\n\
        ptxas info    : Compiling entry function 'first' for 'sm_90a'\n\
        ptxas info    : Function properties for first\n    \
        16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads\n\
        ptxas info    : Used 255 registers, used 1 barriers, 512 bytes smem\n\
        ptxas info    : Compiling entry function 'second' for 'sm_90a'\n\
        ptxas info    : Function properties for second\n    \
        0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
        ptxas info    : Used 40 registers\n";

    #[test]
    fn registers_and_spills_of_each_function_are_read_from_the_log() {
        let first = KernelResources {
            function: "first".to_owned(),
            registers: 255,
            stack_bytes: 16,
            spill_store_bytes: 12,
            spill_load_bytes: 8,
        };
        let second = KernelResources { function: "second".to_owned(), registers: 40, ..Default::default() };
        assert_eq!(parse_resources(LOG), [first, second]);
    }

    #[test]
    fn a_log_without_figures_has_none() {
        assert_eq!(parse_resources(""), []);
        assert_eq!(parse_resources("nothing that looks like registers\n12 bytes stack frame"), []);
    }
}
