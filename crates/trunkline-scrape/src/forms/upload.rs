//! A file for a form.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use trunkline::Body;

/// A file to be sent with a form, for [`Form::fill`](crate::Form::fill): its name, its content and,
/// unless it is `application/octet-stream`, its type.
///
/// ```
/// use trunkline::Body;
/// use trunkline_scrape::Upload;
///
/// let photo = Upload::file("photos/IMG_0001.jpg").content_type("image/jpeg");
/// let report = Upload::bytes("report.csv", "a,b\n1,2\n").content_type("text/csv");
/// let made = Upload::new("zeros.bin", || Body::from(vec![0; 1024]));
/// # let _ = (photo, report, made);
/// ```
#[derive(Clone)]
#[must_use = "a file is sent with the form that it is filled into"]
pub struct Upload {
    pub(super) name: String,
    pub(super) content_type: String,
    make: Arc<dyn Fn() -> Body + Send + Sync>,
}

impl Upload {
    /// A file whose body `make` makes anew each time the form is sent.
    pub fn new(name: impl Into<String>, make: impl Fn() -> Body + Send + Sync + 'static) -> Self {
        Self { name: name.into(), content_type: "application/octet-stream".to_owned(), make: Arc::new(make) }
    }

    /// These bytes.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(name, move || Body::from(bytes.clone()))
    }

    /// The file with this path, under its own name. It is read when the form is sent; see
    /// [`Body::file`].
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self::new(name.unwrap_or_default(), move || Body::file(&path))
    }

    /// Its type. Default: `application/octet-stream`. It is not guessed from the name.
    pub fn content_type(self, content_type: impl Into<String>) -> Self {
        Self { content_type: content_type.into(), ..self }
    }

    pub(super) fn body(&self) -> Body {
        (self.make)()
    }

    /// The entry of a file field without a file.
    pub(super) fn none() -> Self {
        Self::bytes("", Bytes::new())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, content_type, make: _ } = self;
        f.debug_struct("Upload").field("name", name).field("content_type", content_type).finish_non_exhaustive()
    }
}
