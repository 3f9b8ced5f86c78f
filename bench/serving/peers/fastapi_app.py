"""FastAPI on uvicorn: what one writes by hand. ``uvicorn fastapi_app:app``."""

from typing import Annotated, Any

from fastapi import FastAPI, Response
from generator import Generator, array_file, latents, png_text
from pydantic import BaseModel, Field

app = FastAPI()
generator = Generator()


class Request(BaseModel):
    """How many images, and of which seed."""

    n: Annotated[int, Field(ge=1, le=256)] = 1
    seed: int = 0


@app.post("/generate")
def generate(request: Request) -> dict[str, Any]:
    """PNG files in base64."""
    images = generator.images(latents(request.n, request.seed))
    return {"images": [png_text(image) for image in images], "seed": request.seed}


@app.post("/generate_raw")
def generate_raw(request: Request) -> Response:
    """One array."""
    drawn = array_file(generator.images(latents(request.n, request.seed)))
    return Response(drawn, media_type="application/x-npy")
