"""Colours and type of the page: basalt greys, one ember accent, the fonts of the system."""

from __future__ import annotations

from gradio.themes.base import Base
from gradio.themes.utils.colors import Color

EMBER = Color(
    name="ember",
    c50="#fdf3ee",
    c100="#fae3d8",
    c200="#f4c5b0",
    c300="#eda382",
    c400="#ec8a62",
    c500="#d9603a",
    c600="#b8452a",
    c700="#983620",
    c800="#792b1b",
    c900="#5d2317",
    c950="#37130c",
)
BASALT = Color(
    name="basalt",
    c50="#faf8f5",
    c100="#f2efea",
    c200="#e4dfd7",
    c300="#cec7bc",
    c400="#a39b90",
    c500="#766f66",
    c600="#5b554e",
    c700="#443f3a",
    c800="#2c2926",
    c900="#211e1c",
    c950="#171513",
)
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


class StudioTheme(Base):
    """The theme; nothing of it is loaded from the network."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=EMBER,
            secondary_hue=EMBER,
            neutral_hue=BASALT,
            font=SANS,
            font_mono=MONO,
        )
        self.name = "studio"
        self.set(
            body_background_fill="*neutral_50",
            body_background_fill_dark="*neutral_950",
            body_text_color="*neutral_900",
            body_text_color_dark="*neutral_100",
            body_text_color_subdued="*neutral_500",
            body_text_color_subdued_dark="*neutral_400",
            background_fill_primary="white",
            background_fill_primary_dark="*neutral_900",
            background_fill_secondary="*neutral_100",
            background_fill_secondary_dark="*neutral_800",
            block_background_fill="transparent",
            block_background_fill_dark="transparent",
            block_border_width="0px",
            block_shadow="none",
            block_shadow_dark="none",
            block_label_text_color="*neutral_500",
            block_label_text_color_dark="*neutral_400",
            block_title_text_color="*neutral_600",
            block_title_text_color_dark="*neutral_300",
            block_title_text_weight="500",
            border_color_primary="*neutral_200",
            border_color_primary_dark="*neutral_800",
            border_color_accent="*primary_600",
            border_color_accent_dark="*primary_400",
            color_accent="*primary_600",
            color_accent_soft="#f9e9e0",
            color_accent_soft_dark="#35231b",
            link_text_color="*primary_700",
            link_text_color_dark="*primary_400",
            input_background_fill="white",
            input_background_fill_dark="*neutral_900",
            input_border_color="*neutral_300",
            input_border_color_dark="*neutral_700",
            input_border_color_focus="*primary_600",
            input_border_color_focus_dark="*primary_400",
            input_placeholder_color="*neutral_500",
            input_placeholder_color_dark="*neutral_400",
            button_primary_background_fill="*primary_600",
            button_primary_background_fill_hover="*primary_700",
            button_primary_background_fill_dark="*primary_400",
            button_primary_background_fill_hover_dark="*primary_300",
            button_primary_text_color="white",
            button_primary_text_color_dark="*neutral_950",
            button_secondary_background_fill="white",
            button_secondary_background_fill_dark="*neutral_900",
            button_secondary_background_fill_hover="*neutral_100",
            button_secondary_background_fill_hover_dark="*neutral_800",
            button_secondary_border_color="*neutral_300",
            button_secondary_border_color_dark="*neutral_700",
            button_border_width="1px",
            slider_color="*primary_600",
            slider_color_dark="*primary_400",
            checkbox_background_color_selected="*primary_600",
            checkbox_background_color_selected_dark="*primary_500",
        )
