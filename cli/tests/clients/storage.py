"""Google's own client of Cloud Storage on the bucket that zkprov keeps backups in. It compares checksums by itself."""

import os
import sys

from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

BUCKET = "backups"
endpoint = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE"].split("/storage/")[0]
client = storage.Client(
    project="my-project", credentials=AnonymousCredentials(), client_options=ClientOptions(api_endpoint=endpoint)
)
bucket = client.bucket(BUCKET)


def create():
    client.create_bucket(BUCKET, location="us-east1")
    print([bucket.name for bucket in client.list_buckets()])


def copy(name):
    """Copies a backup to `copied`, and tries what must not go."""
    pages = client.list_blobs(BUCKET, prefix="zk/", delimiter="/", page_size=1)
    assert [blob.name for blob in pages] == []
    assert pages.prefixes == {f"zk/{name}/"}, pages.prefixes
    for blob in client.list_blobs(BUCKET, prefix=f"zk/{name}/"):
        data = blob.download_as_bytes(checksum="md5")
        assert data == blob.download_as_bytes(checksum="crc32c")
        assert len(data) == blob.size
        copied = bucket.blob(blob.name.replace(name, "copied"))
        copied.upload_from_string(data, blob.content_type, if_generation_match=0, checksum="md5")
        print(copied.name, copied.content_type, copied.md5_hash == blob.md5_hash)
    refused(PreconditionFailed, lambda: copied.upload_from_string(b"x", if_generation_match=0))
    refused(NotFound, bucket.blob("nothing").download_as_bytes)
    refused(NotFound, bucket.blob("nothing").reload)
    refused(NotFound, client.bucket("no-such-bucket").reload)


def delete():
    for blob in client.list_blobs(BUCKET, prefix="zk/copied/"):
        blob.delete(if_generation_match=blob.generation)
    print(sorted(blob.name for blob in client.list_blobs(BUCKET)))


def refused(kind, call):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


{"create": create, "copy": copy, "delete": delete}[sys.argv[1]](*sys.argv[2:])
