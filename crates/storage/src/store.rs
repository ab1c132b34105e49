use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minke_sys::rooted::Root;

use crate::driver::{Driver, MountRequest, Overlay};
use crate::index::IndexFiles;
use crate::mountpoints::MountPointFile;
use crate::unpack::UnpackOptions;
use crate::{
    CommitRequest, Container, ContainerId, Containers, CreateContainer, Error, Image, ImageId,
    Images, Index, Layer, LayerId, LayerStage, Layers, Record, Result, StoreOptions, bigdata,
    tempdir,
};

/// A store: layers, images and containers in a graph root and a run root.
///
/// Clones share what was read; give each thread its own. Methods that change records want
/// `&mut self`, so that a thread cannot take locks twice or out of their order.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    options: StoreOptions,
    driver: Box<dyn Driver>,
    pub(crate) layers: IndexFiles<Layer>,
    pub(crate) images: IndexFiles<Image>,
    pub(crate) containers: IndexFiles<Container>,
    mount_points: MountPointFile,
}

impl Inner {
    pub(crate) fn driver(&self) -> &dyn Driver {
        self.driver.as_ref()
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.options.durable
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.options.transient
    }

    pub(crate) fn layers_directory(&self) -> PathBuf {
        self.options
            .graph_root
            .join(format!("{}-layers", self.options.driver))
    }

    pub(crate) fn layers_temporary(&self) -> PathBuf {
        self.layers_directory().join("tmp")
    }

    pub(crate) fn volatile_layers_path(&self) -> PathBuf {
        let name = "volatile-layers.json";
        if self.options.transient {
            return self.run_directory("layers").join(name);
        }
        self.layers_directory().join(name)
    }

    pub(crate) fn images_directory(&self) -> PathBuf {
        self.options
            .graph_root
            .join(format!("{}-images", self.options.driver))
    }

    fn containers_directory(&self) -> PathBuf {
        self.options
            .graph_root
            .join(format!("{}-containers", self.options.driver))
    }

    fn run_directory(&self, kind: &str) -> PathBuf {
        self.options
            .run_root
            .join(format!("{}-{kind}", self.options.driver))
    }

    pub(crate) fn container_directory(&self, id: &ContainerId) -> PathBuf {
        self.containers_directory().join(id)
    }

    pub(crate) fn container_run_directory(&self, id: &ContainerId) -> PathBuf {
        self.run_directory("containers").join(id)
    }
}

impl Store {
    /// Opens the store, making what is missing, and clears away what dead processes left.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a driver or option this crate has not; [`Error::Io`].
    pub fn open(options: StoreOptions) -> Result<Self> {
        if options.driver != "overlay" {
            let what = format!("the storage driver {:?}", options.driver);
            return Err(Error::Unsupported { what });
        }
        for root in [&options.graph_root, &options.run_root] {
            make_directory(root)?;
        }
        let graph = |kind: &str| {
            options
                .graph_root
                .join(format!("{}-{kind}", options.driver))
        };
        let run = |kind: &str| options.run_root.join(format!("{}-{kind}", options.driver));
        let [layers, images, containers] = ["layers", "images", "containers"].map(graph);
        for directory in [&layers, &images, &containers, &run("layers")] {
            make_directory(directory)?;
        }
        let volatile = |kind| {
            if options.transient {
                run(kind)
            } else {
                graph(kind)
            }
        };
        let inner = Inner {
            driver: Box::new(Overlay::open(&options)?),
            layers: IndexFiles::new(
                layers.join("layers.lock"),
                layers.join("layers.json"),
                Some(volatile("layers").join("volatile-layers.json")),
            ),
            images: IndexFiles::new(images.join("images.lock"), images.join("images.json"), None),
            containers: IndexFiles::new(
                volatile("containers").join("containers.lock"),
                containers.join("containers.json"),
                Some(volatile("containers").join("volatile-containers.json")),
            ),
            mount_points: MountPointFile::new(&run("layers")),
            options,
        };
        tempdir::recover(inner.driver.temporary_root())?;
        tempdir::recover(&inner.layers_temporary())?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The options it was opened with.
    pub fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The layers as they are now.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Index`] if the file is damaged.
    pub fn layers(&self) -> Result<Arc<Index<Layer>>> {
        self.inner.layers.read()
    }

    /// The images as they are now.
    ///
    /// # Errors
    /// As [`Store::layers`].
    pub fn images(&self) -> Result<Arc<Index<Image>>> {
        self.inner.images.read()
    }

    /// The containers as they are now.
    ///
    /// # Errors
    /// As [`Store::layers`].
    pub fn containers(&self) -> Result<Arc<Index<Container>>> {
        self.inner.containers.read()
    }

    /// Locks the layers for writing. Images and containers can be had from the guard.
    ///
    /// # Errors
    /// As [`Store::layers`].
    pub fn write_layers(&mut self) -> Result<Layers<'_>> {
        Layers::lock(&self.inner)
    }

    /// Locks the images for writing. Containers can be had from the guard, layers not.
    ///
    /// # Errors
    /// As [`Store::layers`].
    pub fn write_images(&mut self) -> Result<Images<'_>> {
        Images::lock(&self.inner)
    }

    /// Locks the containers for writing. Neither layers nor images can be had from the guard.
    ///
    /// # Errors
    /// As [`Store::layers`].
    pub fn write_containers(&mut self) -> Result<Containers<'_>> {
        Containers::lock(&self.inner)
    }

    /// Begins a layer. Any number may be under way at once, in any threads and processes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stage(&self) -> Result<LayerStage> {
        let options = &self.inner.options;
        let unpack = UnpackOptions {
            in_user_namespace: options.in_user_namespace,
            ignore_chown_errors: options.overlay.ignore_chown_errors,
            max_bytes: options.max_layer_bytes,
            is_synced: options.durable,
        };
        let recordings = self.inner.layers_temporary();
        LayerStage::new(self.inner.driver(), recordings, unpack, options.durable)
    }

    /// Reads a data item of an image.
    ///
    /// # Errors
    /// [`Error::BigDataUnknown`]; [`Error::Io`], also for one of more than 256 MiB.
    pub fn image_big_data(&self, id: &ImageId, key: &str) -> Result<Vec<u8>> {
        bigdata::read(&self.inner.image_data(id), key)?.ok_or_else(|| Error::BigDataUnknown {
            image: id.clone(),
            key: key.to_owned(),
        })
    }

    /// Reads a data item of a container, or `None` if it has none of that name.
    ///
    /// # Errors
    /// As [`Store::image_big_data`].
    pub fn container_big_data(&self, id: &ContainerId, key: &str) -> Result<Option<Vec<u8>>> {
        bigdata::read(&self.inner.container_directory(id), key)
    }

    /// The directory in the graph root that is the container's own; not made by this.
    pub fn container_directory(&self, id: &ContainerId) -> PathBuf {
        self.inner.container_directory(id).join("userdata")
    }

    /// The directory in the run root that is the container's own; not made by this.
    pub fn container_run_directory(&self, id: &ContainerId) -> PathBuf {
        self.inner.container_run_directory(id).join("userdata")
    }

    /// Makes a container and the layer it writes to, on top of its image's.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`], [`Error::ContainerExists`], [`Error::NameInUse`],
    /// [`Error::LayerExists`]. Nothing of the container is left then.
    pub fn create_container(&mut self, request: CreateContainer) -> Result<Container> {
        let stage = self.stage()?;
        let mut layers = Layers::lock(&self.inner)?;
        let parent = match (&request.parent, &request.image) {
            (Some(parent), _) => Some(parent.clone()),
            (None, Some(image)) => self.image_record(image)?.top_layer,
            (None, None) => None,
        };
        let layer = match &request.layer {
            Some(layer) => layer.clone(),
            None => LayerId::random()?,
        };
        layers
            .containers()?
            .check_free(request.id.as_ref(), &request.names)?;
        let mut commit = CommitRequest::new(layer.clone()).parent(parent);
        commit.names = request.layer_names.clone();
        commit.mount_label = request.mount_label.clone();
        commit.volatile = request.volatile || self.inner.is_transient();
        commit.uid_map = request.uid_map.clone();
        commit.gid_map = request.gid_map.clone();
        layers.commit(stage, commit)?;
        let created = layers
            .containers()
            .and_then(|mut containers| containers.create(request, layer.clone()));
        if created.is_err()
            && let Err(error) = layers.delete(&layer)
        {
            tracing::warn!(%error, %layer, "cannot remove the layer of a container not made");
        }
        created
    }

    pub(crate) fn image_record(&self, id: &ImageId) -> Result<Image> {
        self.images()?
            .get(id)
            .cloned()
            .ok_or_else(|| Image::unknown(id.as_str()))
    }

    /// Mounts a layer, or counts one more mount of it, and gives where.
    ///
    /// A mount that is recorded but gone, as after a reboot, is made again.
    ///
    /// # Errors
    /// [`Error::LayerUnknown`], [`Error::Mount`].
    pub fn mount(&self, id: &LayerId, request: &MountRequest) -> Result<PathBuf> {
        let (_held, layers) = self.inner.layers.read_locked()?;
        let layer = layers.get(id).ok_or_else(|| Layer::unknown(id.as_str()))?;
        let mut points = self.inner.mount_points.lock()?;
        let path = self.inner.driver.mount_point(id);
        if points.get(id.as_str()) > 0 && crate::driver::is_mount(&path) {
            points.set(id.as_str(), &path, points.get(id.as_str()) + 1)?;
            return Ok(path);
        }
        let label = request
            .label
            .as_deref()
            .or(Some(layer.mount_label.as_str()));
        let request = MountRequest {
            id_map: request.id_map.clone().or_else(|| shift(&layers, layer)),
            ..request.clone()
        };
        self.inner.driver.mount(id, &request, label)?;
        if let Err(error) = points.set(id.as_str(), &path, 1) {
            if let Err(error) = self.inner.driver.unmount(id) {
                tracing::warn!(%error, layer = %id, "cannot unmount");
            }
            return Err(error);
        }
        Ok(path)
    }

    /// The directories that make a layer up, its own first: for who mounts them otherwise than
    /// [`Store::mount`] does. They are not to be changed.
    ///
    /// # Errors
    /// [`Error::LayerUnknown`], [`Error::Io`].
    pub fn layer_stack(&self, id: &LayerId) -> Result<Vec<PathBuf>> {
        let layers = self.layers()?;
        if layers.get(id).is_none() {
            return Err(Layer::unknown(id.as_str()));
        }
        self.inner.driver.stack(id)
    }

    /// Counts one mount less, and unmounts the layer with the last; gives how many are left.
    /// Not mounted is success.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn unmount(&self, id: &LayerId) -> Result<u64> {
        self.unmount_to(id, |count| count.saturating_sub(1))
    }

    /// Unmounts the layer however often it is mounted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn unmount_all(&self, id: &LayerId) -> Result<()> {
        self.unmount_to(id, |_| 0).map(drop)
    }

    fn unmount_to(&self, id: &LayerId, left: impl FnOnce(u64) -> u64) -> Result<u64> {
        let mut points = self.inner.mount_points.lock()?;
        let count = points.get(id.as_str());
        let left = left(count);
        if left == 0 {
            self.inner.driver.unmount(id)?;
        }
        if count > 0 {
            points.set(id.as_str(), &self.inner.driver.mount_point(id), left)?;
        }
        if points.is_empty() {
            self.inner.driver.last_unmounted();
        }
        Ok(left)
    }

    /// The layer and all below it as one tree, to read from.
    ///
    /// Where the layer is mounted it is that mount, and later changes are seen; otherwise a mount
    /// of its own that nobody else sees and that ends with the last descriptor: it is not
    /// counted and leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::LayerUnknown`], [`Error::Mount`].
    pub fn view(&self, id: &LayerId) -> Result<Root> {
        let (_held, layers) = self.inner.layers.read_locked()?;
        let layer = layers.get(id).ok_or_else(|| Layer::unknown(id.as_str()))?;
        let path = self.inner.driver.mount_point(id);
        let points = self.inner.mount_points.lock()?;
        if points.get(id.as_str()) > 0 && crate::driver::is_mount(&path) {
            return Root::open_dir(&path).map_err(Error::io("open", path));
        }
        let id_map = shift(&layers, layer);
        self.inner
            .driver
            .view(id, id_map.as_ref())
            .map(Root::from_fd)
    }

    /// How often the layer is mounted, by what is recorded.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Index`].
    pub fn mount_count(&self, id: &LayerId) -> Result<u64> {
        self.inner.mount_points.count(id.as_str())
    }

    /// The layers that are mounted and recorded so, by whichever program, and where.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Index`].
    pub fn mounted(&self) -> Result<Vec<(LayerId, PathBuf)>> {
        let recorded = self.inner.mount_points.all()?.into_iter();
        let there = recorded.filter_map(|(id, path, count)| {
            let id = id.parse().ok()?;
            (count > 0 && crate::driver::is_mount(&path)).then_some((id, path))
        });
        Ok(there.collect())
    }

    /// Where the layer is or would be mounted.
    pub fn mount_point(&self, id: &LayerId) -> PathBuf {
        self.inner.driver.mount_point(id)
    }

    /// The directory of what the layer itself changes.
    pub fn changes_directory(&self, id: &LayerId) -> PathBuf {
        self.inner.driver.changes(id)
    }
}

fn make_directory(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io("create", path))
}

/// How what is below a layer has to be shown: through the layer's mapping, unless it has these
/// owners on disk.
fn shift(layers: &Index<Layer>, layer: &Layer) -> Option<minke_sys::idmap::IdMap> {
    let parent = layer.parent.as_ref().and_then(|id| layers.get(id))?;
    let is_plain = parent.uid_map.is_empty() && parent.gid_map.is_empty();
    let is_image = layer.diff_id.is_some();
    (is_plain && !is_image)
        .then(|| crate::mapped::from_record(&layer.uid_map, &layer.gid_map))
        .flatten()
}
