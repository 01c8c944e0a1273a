"""What the structure of a PDF must be to be taken; opens it with pikepdf, from memory, and repairs nothing.

Runs in a PDF worker only: documents come from outside, and a parser may be made to fail in any way.

What is refused as active content: actions that run something or send something (JavaScript, Launch, ImportData,
SubmitForm, GoToE, Rendition) of the document, its pages, annotations, form fields and bookmarks; embedded files; XFA
forms; annotations that carry files or players. Links (GoTo, URI) and plain forms are taken. Scripts of no effect that
nothing of these leads to are not searched for.

Source: ISO 32000-2, 7.7.2 (catalog), 7.7.3 (pages), 12.6 (actions), 7.11.4 (embedded files), 12.7 (forms).
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pikepdf
from pikepdf import AccessMode, Array, Dictionary, Object, Stream

from vault.errors import RefusedError

_ACTIVE = frozenset({"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/GoToE", "/Rendition"})
# Words of qpdf's warnings, which have no codes. Its other warnings are about carelessness of producers: a page without
# resources, a wrong count. Those are let be: scanners and printers make such files, and every reader opens them.
_DAMAGE = ("expected n n obj", "expected endstream", "non-dictionary object")
_ACTING = frozenset({"/OpenAction", "/A", "/AA", "/AF", "/Subtype"})  # keys that may lead to the above
_CARRYING = frozenset({"/FileAttachment", "/RichMedia", "/3D", "/Movie", "/Screen"})  # kinds of annotations


def check_structure(document: BinaryIO, *, mapped: bool) -> None:
    """Refuse a PDF that cannot be opened as it is, that is locked, or that does more than show pages.

    Args:
        document: at its first byte, seekable.
        mapped: read it by mapping its descriptor, for documents too large to be copied.

    Raises:
        RefusedError: with one of the codes `pdf_protocol.REFUSALS`.
        MemoryError: it takes more than the process may have.
    """
    access_mode = AccessMode.mmap_only if mapped else AccessMode.stream
    try:
        with pikepdf.open(document, attempt_recovery=False, suppress_warnings=True, access_mode=access_mode) as pdf:
            _check(pdf)
    except pikepdf.PasswordError as error:
        raise RefusedError("pdf-encrypted") from error
    except (pikepdf.PdfError, ValueError, TypeError, KeyError, AttributeError) as error:
        # pikepdf has no one class for what a damaged document makes of a lookup.
        raise RefusedError("pdf-malformed") from error


def _check(pdf: pikepdf.Pdf) -> None:
    if pdf.is_encrypted:  # it opens without a password, but not for everybody and not forever
        raise RefusedError("pdf-encrypted")
    root = pdf.Root
    pages = [page.obj for page in pdf.pages]
    _refuse_damage(pdf)
    if not pages:
        raise RefusedError("pdf-no-pages")
    _refuse_active_catalog(root)
    for page in pages:
        _require_contents(page)
        _refuse_active(page)
        for annotation in _items(_get(page, "/Annots")):
            _refuse_active(annotation)
    for node in _tree(_get(root, "/Outlines"), ("/First", "/Next")):
        _refuse_active(node)
    _refuse_damage(pdf)


def _refuse_damage(pdf: pikepdf.Pdf) -> None:
    """Refuse a PDF of which something read so far was not there: qpdf goes on without it and only warns."""
    if any(sign in str(warning) for warning in pdf.get_warnings() for sign in _DAMAGE):
        raise RefusedError("pdf-malformed")


def _require_contents(page: Object) -> None:
    """Refuse a page that names contents or images which are not there or cannot be read."""
    if "/Contents" in page:
        contents = page["/Contents"]
        parts = _array(contents) if isinstance(contents, Array) else [contents]
        if not all(isinstance(part, Stream) for part in parts):
            raise RefusedError("pdf-malformed")
    images = _get(_get(page, "/Resources"), "/XObject")
    if isinstance(images, Dictionary) and not all(isinstance(image, Stream) for _, image in images.items()):
        raise RefusedError("pdf-malformed")


def _refuse_active_catalog(root: Object) -> None:
    _refuse_active(root)
    names = _get(root, "/Names")
    _refuse_if(any(_holds_something(_get(names, key)) for key in ("/JavaScript", "/EmbeddedFiles")))
    form = _get(root, "/AcroForm")
    _refuse_if(_get(form, "/XFA") is not None)
    for field in _items(_get(form, "/Fields")):
        for node in _tree(field, ("/Kids",)):
            _refuse_active(node)


def _refuse_active(carrier: Object) -> None:
    """Refuse a catalog, page, annotation, field or bookmark that does more than show itself."""
    if _ACTING.isdisjoint(carrier.keys()):
        return
    _refuse_if(str(_get(carrier, "/Subtype")) in _CARRYING)
    _refuse_if(any("/EF" in file for file in _items(_get(carrier, "/AF"))))
    triggers = _get(carrier, "/AA")
    by_event = [action for _, action in triggers.items()] if isinstance(triggers, Dictionary) else []
    for first in (_get(carrier, "/OpenAction"), _get(carrier, "/A"), *by_event):
        for action in _tree(first, ("/Next",)):
            _refuse_if(str(_get(action, "/S")) in _ACTIVE)


def _holds_something(names: Object | None) -> bool:
    """Say whether a name tree has an entry; some producers leave an empty one behind."""
    return any(_array(_get(names, key)) for key in ("/Names", "/Kids"))


def _tree(first: Object | None, links: Iterable[str]) -> Iterator[Object]:
    """Walk dictionaries from `first` along `links` (to one or to an array of them), each once."""
    waiting, seen = [first], set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Dictionary) or (node.is_indirect and node.objgen in seen):
            continue
        seen.add(node.objgen)
        yield node
        for link in links:
            following = _get(node, link)
            waiting.extend(_array(following) if isinstance(following, Array) else [following])


def _items(array: Object | None) -> list[Object]:
    """Give the dictionaries of `array`; none where it is no array."""
    return [item for item in _array(array) if isinstance(item, Dictionary)]


def _get(dictionary: Object | None, key: str) -> Object | None:
    """Give what `key` names, or None; pikepdf's own `get` is many times slower where there is nothing."""
    return dictionary[key] if isinstance(dictionary, Dictionary) and key in dictionary else None


def _array(value: Object | None) -> list[Object]:
    return list(value) if isinstance(value, Array) else []


def _refuse_if(active: bool) -> None:  # noqa: FBT001  # a private guard, read as its call
    if active:
        raise RefusedError("pdf-active-content")
