"""How the page looks: colours that can be read on light and on dark ground, and a focus that is seen."""

import gradio as gr

CSS = """
.gradio-container { color-scheme: light; }
.dark .gradio-container { color-scheme: dark; --color-accent: var(--primary-400); }
.gradio-container.gradio-container :focus-visible:focus-visible {
  outline: 3px solid #d97706 !important; outline-offset: 2px;
}
.gradio-container input::placeholder, .gradio-container textarea::placeholder { opacity: 1; }
.gradio-container.gradio-container button.stop:disabled {
  background: var(--button-secondary-background-fill); color: var(--button-secondary-text-color);
}
.gradio-container.gradio-container .beside { align-items: flex-end; }
.matplotlib { overflow-x: auto; padding: 4px; }
.labelled .image-container { padding-top: 28px; }
.several button[title="common.upload"] { display: none; }
.drawn { overflow: auto; max-height: 640px; border: 1px solid var(--border-color-primary); }
.drawn svg { display: block; max-width: none; margin: 0 auto; }
.drawn a { text-decoration: none; }
.drawn a:focus-visible rect, .drawn a:hover rect { stroke-width: 4; }
"""
"""Selectors are doubled where Gradio's own, which take the frame away, would else weigh more. Pictures follow
`color-scheme`: somebody may choose dark whatever the system says. Gradio's button to add to several files
holds another button, which screen readers cannot tell apart, and has no name."""


def theme() -> gr.themes.Base:
    """Gradio's default in blue, where orange leaves too little contrast; fonts of the system, since its own
    would come from another host."""
    quiet = {"body_text_color_subdued": "*neutral_600", "body_text_color_subdued_dark": "*neutral_300"}
    return gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.zinc,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        **quiet,
        color_accent="*primary_600",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
        button_cancel_background_fill_dark="#b91c1c",
        button_cancel_background_fill_hover_dark="#dc2626",
    )
