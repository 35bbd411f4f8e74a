use diffusion::{
    Base, Tokenizer,
    text::TextEncoder,
    unet::{Plain, UNet},
};
use engine::{nn::Frozen, rng::TorchRng, values};
use toybox::{autoencoder, base, export, recipe};

use crate::small::MERGES;

#[test]
fn the_exported_folder_is_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let device = engine::cpu();
    let positions = recipe::configs(1).unwrap().text.max_position_embeddings;
    let tokenizer = Tokenizer::new(MERGES, positions).unwrap();
    let configs = recipe::configs(tokenizer.vocabulary_size()).unwrap();
    let trained = base::fresh(&configs, 1, &device);
    let vae = autoencoder::fresh(&configs, 1, &device);
    export::folder(folder.path(), &configs, MERGES, &trained, &vae).unwrap();

    let read = Base::open(folder.path(), &device).unwrap();
    let prompt = read.tokenizer().unwrap().encode("on a", None).unwrap();
    assert_eq!(prompt, tokenizer.encode("on a", None).unwrap());

    let frozen = Frozen::new(&device);
    let text = trained.within(base::TEXT);
    let Ok(text) = TextEncoder::build(&configs.text, &text.frozen(&frozen));
    let context = text.forward(std::slice::from_ref(&prompt), None);
    let again = read.text_encoder().unwrap().forward(&[prompt], None);
    near(&values(context.clone()), &values(again));

    let unet = trained.within(base::UNET);
    let Ok(unet) = UNet::build(&configs.unet, &unet.frozen(&frozen));
    let x = engine::tensor(TorchRng::new(2).randn(16 * 16 * 4), [1, 16, 16, 4], &device);
    let predicted = unet.forward(x.clone(), &[500.0], &context, &mut Plain);
    let again = read.unet().unwrap().forward(x, &[500.0], &context, &mut Plain);
    near(&values(predicted), &values(again));
    assert!(read.vae_encoder().is_ok() && read.vae_decoder().is_ok());
}

/// As near as f16 weights are.
fn near(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 2e-2, "{a} {b}");
    }
}
