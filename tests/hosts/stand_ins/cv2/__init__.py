"""OpenCV in name only: TF Models imports it to draw masks, which no loss does."""
