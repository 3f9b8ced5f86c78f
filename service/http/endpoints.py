"""Every endpoint, over one runtime."""

from __future__ import annotations

from service.http.admin import AdminEndpoints
from service.http.catalogue import CatalogueEndpoints
from service.http.docs_page import DocsEndpoints
from service.http.drawing import DrawingEndpoints
from service.http.guide import GuideEndpoints
from service.http.images import ImageEndpoints
from service.http.operation import OperationEndpoints
from service.runtime import Runtime


class Endpoints:
    """The endpoints by what they are about."""

    def __init__(self, runtime: Runtime) -> None:
        self.drawing = DrawingEndpoints(runtime)
        self.images = ImageEndpoints(runtime)
        self.catalogue = CatalogueEndpoints(runtime)
        self.operation = OperationEndpoints(runtime)
        self.admin = AdminEndpoints(runtime)
        self.guide = GuideEndpoints()
        self.docs = DocsEndpoints(runtime)
