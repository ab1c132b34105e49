//! Small images in memory.

use std::collections::HashMap;
use std::io::{Read, Write};

use minke_image::media_type::Compression;
use minke_image::{
    CopyOptions, Descriptor, Digest, Error, ImageManifest, ImageName, ImageSource, MediaType,
    Policy, RawManifest, Result,
};

/// An image in memory, as OCI or Docker would have it.
pub struct MemoryImage {
    pub name: ImageName,
    pub manifest: RawManifest,
    pub index: Option<RawManifest>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    pub blobs: HashMap<Digest, Vec<u8>>,
}

/// A tar with one file.
pub fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

pub fn compress(data: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(data, 1).unwrap(),
        _ => data.to_vec(),
    }
}

/// Bytes that do not compress to nothing.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8 & 0x3f
    };
    (0..length).map(|_| next()).collect()
}

impl MemoryImage {
    /// An image of one layer per compression, each with one file of `file_bytes`.
    pub fn new(docker: bool, file_bytes: usize, compressions: &[Compression]) -> Self {
        let mut blobs = HashMap::new();
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for (index, compression) in compressions.iter().enumerate() {
            let tar = tar_of(
                &format!("file{index}"),
                &noise(file_bytes, index as u64 + 7),
            );
            diff_ids.push(Digest::of(&tar));
            let blob = compress(&tar, *compression);
            let media_type = MediaType::layer(docker, *compression);
            let descriptor = Descriptor::of(media_type, &blob);
            blobs.insert(descriptor.digest.clone(), blob);
            layers.push(descriptor);
        }
        Self::of(docker, blobs, layers, &diff_ids)
    }

    pub fn of(
        docker: bool,
        mut blobs: HashMap<Digest, Vec<u8>>,
        layers: Vec<Descriptor>,
        diff_ids: &[Digest],
    ) -> Self {
        let config = serde_json::json!({
            "architecture": minke_image::Platform::host().architecture,
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["/bin/sh"], "Env": ["A=b"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let (manifest_type, config_type) = match docker {
            true => (MediaType::DOCKER_MANIFEST, MediaType::DOCKER_CONFIG),
            false => (MediaType::OCI_MANIFEST, MediaType::OCI_CONFIG),
        };
        let descriptor = Descriptor::of(config_type, &config);
        blobs.insert(descriptor.digest.clone(), config);
        let manifest =
            ImageManifest::compose(manifest_type, descriptor.clone(), layers.clone()).unwrap();
        MemoryImage {
            name: "docker://localhost/memory".parse().unwrap(),
            manifest: RawManifest {
                bytes: manifest.raw().to_vec(),
                media_type: Some(manifest.media_type().clone()),
            },
            index: None,
            config: descriptor,
            layers,
            blobs,
        }
    }
}

impl ImageSource for MemoryImage {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn manifest(&self, instance: Option<&Digest>) -> Result<RawManifest> {
        Ok(match (&self.index, instance) {
            (Some(index), None) => index.clone(),
            _ => self.manifest.clone(),
        })
    }

    fn blob(&self, blob: &Descriptor, start_bytes: u64) -> Result<Box<dyn Read + Send + '_>> {
        match self.blobs.get(&blob.digest) {
            Some(bytes) => Ok(Box::new(&bytes[start_bytes as usize..])),
            None => Err(Error::NotInPlace {
                what: format!("blob {}", blob.digest),
                path: "memory".into(),
            }),
        }
    }
}

/// Everything is taken.
pub fn any() -> CopyOptions {
    CopyOptions::new(Policy::accept_anything())
}
