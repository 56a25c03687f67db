"""Every setting once, typed: from flags, then the environment (LLAVA_STUDIO_*), then ``.env``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "assets" / "checkpoints"

Precision = Literal["auto", "32bit", "16bit", "8bit", "4bit"]


class Settings(BaseSettings):
    """All settings with their defaults. Field ``x_y`` is flag ``--x-y`` and LLAVA_STUDIO_X_Y."""

    model_config = SettingsConfigDict(
        env_prefix="LLAVA_STUDIO_", env_file=".env", extra="forbid", protected_namespaces=()
    )

    host: str = Field("127.0.0.1", description="address that page, controller and worker listen on")
    port: int = Field(7860, ge=1, le=65535, description="port of the page")
    page_host: str = Field("", description="address that the page listens on; default: --host")
    controller_port: int = Field(10000, ge=1, le=65535, description="port of the controller")
    worker_port: int = Field(40000, ge=1, le=65535, description="port of the worker")
    controller_url: str = Field("", description="where worker and page find the controller")
    data_dir: Path = Field(Path("data"), description="folder of database, pictures and logs")
    database_url: str = Field("", description="SQLAlchemy URL; default: SQLite in the data folder")
    model: list[str] = Field(
        default_factory=list,
        description="checkpoint folder or hub id (or PATH@8bit); repeatable; default: bundled ones",
    )
    precision: Precision = Field("auto", description="precision of the weights")
    merge_adapters: bool = Field(
        True, description="put LoRA adapters into the weights, where these are whole"
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    secret: str = Field("", description="shared secret of controller and workers")

    max_upload_mb: int = Field(20, ge=1, description="largest picture file, in megabytes")
    max_pixels_millions: int = Field(50, ge=1, description="largest picture, in megapixels")
    max_images: int = Field(8, ge=1, description="most pictures in one conversation")
    default_max_tokens: int = Field(512, ge=1, description="longest answer unless the request says")
    lease_seconds: float = Field(9.0, gt=0, description="a worker is gone after this silence")
    renew_seconds: float = Field(2.0, gt=0, description="a worker renews its lease this often")
    answer_timeout_seconds: float = Field(
        120.0, gt=0, description="longest silence from a worker in the middle of an answer"
    )
    max_waiting: int = Field(64, ge=0, description="requests that may wait in a worker's queue")
    max_running: int = Field(
        0, ge=0, description="answers that a model writes at once; 0: 8 on a CPU, 32 on a GPU"
    )
    cache_gb: float = Field(
        0.0, ge=0, description="memory for conversations of each model, in GB; 0: from what is free"
    )
    arena_models: list[str] = Field(
        default_factory=list, description="models in the arena; repeatable; default: all"
    )
    arena_sampling: Literal["uniform", "uncertainty"] = Field(
        "uniform", description="how the arena draws pairs: uniform, or where votes are missing"
    )
    votes_per_day: int = Field(
        200, ge=1, description="votes of one person a day that count; more are kept, not counted"
    )
    login: bool = Field(False, description="people log in: python app.py user add NAME")
    trusted_user_header: str = Field(
        "", description="header in which a proxy in front gives the person's name"
    )
    trusted_proxies: str = Field(
        "127.0.0.1,::1", description="addresses or networks whose headers about people count"
    )
    open: bool = Field(False, description="let in everybody who reaches the address")
    session_days: float = Field(30.0, gt=0, description="days after which a login ends")
    questions_per_minute: int = Field(
        0, ge=0, description="questions of one person; 0: no limit on this machine alone, else 30"
    )
    answers_at_once: int = Field(
        0,
        ge=0,
        description="answers of one person in work; 0: no limit on this machine alone, else 8",
    )
    pictures_mb: int = Field(
        0,
        ge=0,
        description="stored pictures of one person; 0: no limit on this machine alone, else 500",
    )
    retention_days: float = Field(
        0.0, ge=0, description="unused conversations are deleted after so many days; 0: never"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")

    @model_validator(mode="after")
    def _hosted(self) -> Self:
        """Take over what Gradio's variables and a Hugging Face Space's say about the page.

        https://huggingface.co/docs/hub/spaces-sdks-gradio: GRADIO_SERVER_NAME and _PORT. On a Space
        (SPACE_ID) the page listens where the Space looks for it, for everybody who comes.
        """
        on_space = bool(os.environ.get("SPACE_ID"))
        host = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else "")
        self.page_host = self.page_host or host
        port = os.environ.get("GRADIO_SERVER_PORT")
        if port and "port" not in self.model_fields_set:
            if not (port.isdecimal() and 1 <= int(port) <= 65535):
                raise ValueError(f"GRADIO_SERVER_PORT is {port!r}: give a port, such as 7860")
            self.port = int(port)
        self.open = self.open or (on_space and not (self.login or self.trusted_user_header))
        return self

    @property
    def page_listens_on(self) -> str:
        """The address that the page listens on."""
        return self.page_host or self.host

    @property
    def controller_address(self) -> str:
        """The controller's base URL, without a trailing slash."""
        return (
            self.controller_url or f"http://{_reachable(self.host)}:{self.controller_port}"
        ).rstrip("/")

    @property
    def worker_address(self) -> str:
        """The worker's base URL as the controller reaches it."""
        return f"http://{_reachable(self.host)}:{self.worker_port}"

    @property
    def page_address(self) -> str:
        """The page's URL for a browser on this machine."""
        return f"http://{_reachable(self.page_listens_on)}:{self.port}"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in use."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'studio.db'}"

    @property
    def images_dir(self) -> Path:
        """Folder of stored pictures."""
        return self.data_dir / "images"


def _reachable(host: str) -> str:
    """An address on which this machine reaches what listens on ``host``."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
