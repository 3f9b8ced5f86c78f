"""MLServer with custom runtimes and adaptive batching: ``python mlserver_app.py PORT``."""

import asyncio
import sys

import numpy as np
from generator import Generator, latents, png_text
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Png(MLModel):
    """A PNG file in base64 for each seed."""

    async def load(self) -> bool:
        """Load the generator."""
        self.generator = Generator()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Draw."""
        seeds = NumpyCodec.decode_input(payload.inputs[0]).reshape(-1)
        images = self.generator.images(np.concatenate([latents(1, int(seed)) for seed in seeds]))
        drawn = StringCodec.encode_output("png", [png_text(image) for image in images])
        return InferenceResponse(model_name=self.name, outputs=[drawn])


class Raw(Png):
    """Sixty-four images of each seed as one array."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Draw."""
        seed = int(NumpyCodec.decode_input(payload.inputs[0]).reshape(-1)[0])
        drawn = NumpyCodec.encode_output("image", self.generator.images(latents(64, seed)))
        return InferenceResponse(model_name=self.name, outputs=[drawn])


async def main(port: int) -> None:
    """Serve both models in this process."""
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=port + 1,
        metrics_port=port + 2,
        parallel_workers=0,
        debug=False,
    )
    server = MLServer(settings)
    await server.start(
        [
            ModelSettings(name="png", implementation=Png, max_batch_size=32, max_batch_time=0.002),
            ModelSettings(name="raw", implementation=Raw),
        ]
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
