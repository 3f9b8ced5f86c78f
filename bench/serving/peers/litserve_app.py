"""LitServe: dynamic batches of images, or whole arrays. ``python litserve_app.py PORT BATCH``."""

import sys
from typing import Any

import litserve
import numpy as np
from generator import Generator, array_file, latents, png_text
from starlette.responses import Response


class Drawing(litserve.LitAPI):
    """One request's way: latents, batch, images, answer."""

    def setup(self, device: str) -> None:
        """Load the generator."""
        self.generator = Generator()

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        """Draw the latents."""
        return latents(int(request.get("n", 1)), int(request.get("seed", 0)))

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Put requests together."""
        return np.concatenate(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Draw."""
        return self.generator.images(x)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """Take them apart again."""
        return list(output[:, np.newaxis])

    def encode_response(self, output: np.ndarray) -> Any:
        """PNG files in base64, or one array."""
        if self.max_batch_size == 1:
            return Response(array_file(output), media_type="application/x-npy")
        return {"images": [png_text(image) for image in output]}


if __name__ == "__main__":
    port, most = int(sys.argv[1]), int(sys.argv[2])
    api = Drawing(max_batch_size=most, batch_timeout=0.002 if most > 1 else 0.0, api_path="/generate")
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(port=port, host="127.0.0.1", generate_client_file=False, log_level="warning")
