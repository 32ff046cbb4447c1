"""Files of a conversation."""

from urllib.parse import quote

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.sandbox.model import Attachment, new_id, now_ms
from app.sandbox.rest import checks, common, fiql, hal, views
from app.sandbox.rest.common import TenantRequest
from app.sandbox.rest.problems import general, not_found
from app.sandbox.rest.route import PREFIX
from app.sandbox.world import World

ALL = PREFIX + "/conversations/{conversation_id:str}/attachments"
ONE = ALL + "/{attachment_id:str}"


@post(ALL, status_code=200)
async def upload(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """Add a file, to be referred to in a message; `authorType` is user unless said."""
    conversation = common.conversation(world, request, conversation_id)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise general(400, "The request has to be multipart/form-data", "invalid_request")
    form = await request.form()
    file, author = form.get("attachment"), form.get("authorType", "user")
    if not isinstance(file, UploadFile):
        raise general(400, "The part attachment is missing", "invalid_request")
    if author not in checks.AUTHORS:
        raise general(400, f"Invalid authorType={author}, has to be one of user, bot", "invalid_author")
    stored = Attachment(new_id(), file.filename, file.content_type, await file.read(), str(author), now_ms())
    world.store.add_attachment(conversation, stored)
    return common.hal(views.attachment(stored))


@get(ALL)
async def list_all(
    conversation_id: FromPath[str], request: TenantRequest, world: NamedDependency[World]
) -> Response[bytes]:
    """The conversation's files, by id."""
    found = list(common.conversation(world, request, conversation_id).attachments.values())
    found = fiql.chosen(found, views.attachment, request.query_params.get("filter"))
    found.sort(key=lambda file: file.id, reverse=hal.direction(request.query_params, "id", "asc"))
    return common.hal(
        hal.page("attachments", found, views.attachment, request.query_params, request.scope["path"])
    )


@get(ONE)
async def read(
    conversation_id: FromPath[str],
    attachment_id: FromPath[str],
    request: TenantRequest,
    world: NamedDependency[World],
) -> Response[bytes]:
    """A file's details."""
    return common.hal(views.attachment(_find(conversation_id, attachment_id, request, world)))


@get(ONE + "/content")
async def content(
    conversation_id: FromPath[str],
    attachment_id: FromPath[str],
    request: TenantRequest,
    world: NamedDependency[World],
) -> Response[bytes]:
    """A file's bytes."""
    return as_download(_find(conversation_id, attachment_id, request, world))


def as_download(file: Attachment) -> Response[bytes]:
    """The bytes, to be saved and not shown: what users send is not to be trusted."""
    disposition = f"attachment; filename*=UTF-8''{quote(file.file_name)}"
    return Response(
        file.content,
        media_type="application/octet-stream",
        headers={"content-disposition": disposition, "x-content-type-options": "nosniff"},
    )


def _find(conversation_id: str, attachment_id: str, request: TenantRequest, world: World) -> Attachment:
    file = common.conversation(world, request, conversation_id).attachments.get(attachment_id)
    if file is None:
        raise not_found("Attachment", attachment_id)
    return file


HANDLERS = [upload, list_all, read, content]
