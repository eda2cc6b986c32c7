//! Files of a repository on a hub: small ones whole, large ones by their beginning.

use super::client::Client;
use super::failure::refusal;
use super::prefix::Prefix;
use super::settings::Hub;
use super::{FetchError, HubId};

/// A repository at a revision.
#[derive(Clone, Copy)]
pub(super) struct Repository<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) id: &'a HubId,
}

impl<'a> Repository<'a> {
    /// A whole small file; `None` when the repository does not have it.
    pub(super) fn small_file(&self, file: &str, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        self.small(&self.path(file), file, limit)
    }

    /// The names of the repository's files; `None` where the hub does not list them.
    pub(super) fn file_names(&self) -> Result<Option<Vec<String>>, FetchError> {
        const LIMIT: u64 = 16 << 20;
        let (id, revision) = (&self.id.name, self.revision());
        let (path, list, field) = match self.client.settings().hub {
            Hub::HuggingFace => (format!("/api/models/{id}/revision/{}", revision.replace('/', "%2F")), "/siblings", "rfilename"),
            Hub::ModelScope => (format!("/api/v1/models/{id}/repo/files?Revision={revision}&Recursive=True"), "/Data/Files", "Path"),
        };
        let Some(text) = self.small(&path, "its list of files", LIMIT)? else { return Ok(None) };
        let listing: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
        let files = listing.as_ref().and_then(|listing| listing.pointer(list)).and_then(serde_json::Value::as_array);
        let name = |file: &serde_json::Value| file.get(field).and_then(serde_json::Value::as_str).map(str::to_owned);
        Ok(files.map(|files| files.iter().filter_map(name).collect()))
    }

    /// A file of which only the beginning will be read.
    pub(super) fn large_file(&self, file: &str) -> RemoteFile<'a> {
        let place = format!("{} of {} at {}", file, self.id.name, self.client.settings().host());
        RemoteFile { repository: *self, path: self.path(file), place, bytes: Vec::new(), size: None }
    }

    fn small(&self, path: &str, file: &str, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        let answer = self.client.get(path, None)?;
        if answer.status != 200 {
            return refusal(self.client, self.id, &answer).map_or(Ok(None), Err);
        }
        let host = answer.host.clone();
        let is_html = answer.is_html();
        let bytes = answer.read(limit + 1)?;
        if is_html || bytes.trim_ascii_start().starts_with(b"<") {
            return Err(FetchError::HtmlAnswer { host });
        }
        if bytes.len() as u64 > limit {
            return Err(FetchError::OversizeFile { place: format!("{file} of {}", self.id.name), limit });
        }
        Ok(Some(bytes))
    }

    fn revision(&self) -> &str {
        let default = match self.client.settings().hub {
            Hub::HuggingFace => "main",
            Hub::ModelScope => "master",
        };
        self.id.revision.as_deref().unwrap_or(default)
    }

    fn path(&self, file: &str) -> String {
        let prefix = match self.client.settings().hub {
            Hub::HuggingFace => "",
            Hub::ModelScope => "/models",
        };
        format!("{prefix}/{}/resolve/{}/{file}", self.id.name, self.revision().replace('/', "%2F"))
    }
}

/// The beginning of a file on a hub.
pub(super) struct RemoteFile<'a> {
    repository: Repository<'a>,
    path: String,
    place: String,
    bytes: Vec<u8>,
    size: Option<u64>,
}

impl RemoteFile<'_> {
    fn is_complete(&self) -> bool {
        self.size.is_some_and(|size| self.bytes.len() as u64 >= size)
    }
}

impl Prefix for RemoteFile<'_> {
    /// A server that ignores the range sends the file from its first byte: what is needed is taken, the rest dropped.
    fn grow(&mut self, length: u64) -> Result<(), FetchError> {
        let known = self.bytes.len() as u64;
        if known >= length || self.is_complete() {
            return Ok(());
        }
        let Repository { client, id } = self.repository;
        let answer = client.get(&self.path, Some((known, length - 1)))?;
        if answer.is_html() && answer.status < 300 {
            return Err(FetchError::HtmlAnswer { host: answer.host });
        }
        match answer.status {
            206 => {
                let (first, size) = answer.header("content-range").and_then(content_range).unwrap_or((known, None));
                if first != known {
                    return Err(FetchError::UnexpectedStatus { host: answer.host, status: 206 });
                }
                self.size = size.or(self.size);
                self.bytes.extend(answer.read(length - known)?);
            }
            200 => {
                self.size = answer.header("content-length").and_then(|size| size.parse().ok()).or(self.size);
                self.bytes = answer.read(length)?;
            }
            416 => self.size = Some(known),
            _ => return Err(refusal(client, id, &answer).unwrap_or(FetchError::MissingFile { place: self.place.clone() })),
        }
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn size(&self) -> Option<u64> {
        self.size
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// `bytes 0-1023/146515` as first byte and size.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, size.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn a_content_range_gives_the_first_byte_and_the_size() {
        assert_eq!(content_range("bytes 8-15/64"), Some((8, Some(64))));
        assert_eq!(content_range("bytes 0-15/*"), Some((0, None)));
        assert_eq!(content_range("bytes */64"), None);
        assert_eq!(content_range("items 0-1/2"), None);
    }
}
