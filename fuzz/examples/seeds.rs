//! Writes the seeds: pages that the recipes give, texts around the sizes of blocks, values of all kinds.

use std::fs;
use std::io;
use std::path::Path;

use intacct_sync_fuzz::page::{cuts, pages};

fn main() -> io::Result<()> {
    for number in 0..24_u32 {
        // Any recipe will do that is no page itself.
        let places = cuts(u64::from(number), 30_000);
        let mut recipe: Vec<u8> = places.iter().map(|at| at.to_le_bytes()[0]).collect();
        recipe.insert(0, 0);
        recipe.truncate(1500);
        for page in pages(&recipe).iter().take(1) {
            write("page", &format!("{number:02}.xml"), page)?;
        }
    }

    let mut texts: Vec<String> = [1, 15, 16, 17, 31, 47, 48, 49, 63, 64, 65, 130]
        .map(|length| {
            "clean text of some length "
                .chars()
                .cycle()
                .take(length)
                .collect()
        })
        .to_vec();
    let specials = "&<>\"'\r\n\t\0\u{1F}\u{FFFD}\u{FFFE}\u{FFFF}\u{FEFF}\u{E9}\u{682A}\u{1F600}";
    texts.push(specials.to_owned());
    texts.extend(
        specials
            .chars()
            .map(|c| format!("fifteen letters{c}and more of them{c}{c}")),
    );
    for (number, text) in texts.iter().enumerate() {
        write("escape", &format!("{number:02}"), text.as_bytes())?;
    }

    for (number, text) in [
        "0",
        "-7",
        "+12.0",
        "12.50",
        "-.25",
        "0.1234567890000",
        "9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999999999999999999999",
        "1234567.12345678",
        "1.",
        ".",
        "1e3",
        "1,000",
        "true",
        "F",
        "y",
        "01/31/2026",
        "02/29/2028",
        "02/29/2100",
        "12/31/9999 23:59:59",
        "01/01/0000 00:00:00",
        "01/31/2026 24:00:00",
    ]
    .into_iter()
    .enumerate()
    {
        let mut seed = vec![9, 37];
        seed.extend_from_slice(text.as_bytes());
        write("values", &format!("{number:02}"), &seed)?;
    }
    Ok(())
}

fn write(target: &str, name: &str, seed: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), seed)
}
