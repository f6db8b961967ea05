"""The smallest D-FINE that KerasHub builds and trains, and images for it."""

from typing import Any

import keras
import keras_hub
import numpy as np
from keras_hub.src.models.hgnetv2.hgnetv2_backbone import HGNetV2Backbone

CLASSES = 5


def build(queries: int, size: int = 64, decoder_layers: int = 1) -> keras.Model:
    """A detector for images of ``size`` pixels and ``CLASSES`` classes, of some 30,000 weights.

    It takes its ``queries`` from (size / 16)² + (size / 32)² places.
    """
    keras.utils.set_random_seed(0)
    image_shape = (size, size, 3)
    features = HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[
            [8, 8, 16, 1, 3, 3],
            [16, 8, 16, 1, 3, 3],
            [16, 8, 32, 1, 3, 3],
            [32, 8, 32, 1, 3, 3],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 16, 32, 32],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=image_shape,
        out_features=["stage3", "stage4"],
    )
    backbone = keras_hub.models.DFineBackbone(
        backbone=features,
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=0,
        num_labels=CLASSES,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=queries,
        anchor_image_size=(size, size),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[32, 32],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=32,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=decoder_layers,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=16,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=image_shape,
    )
    return keras_hub.models.DFineObjectDetector(backbone=backbone, num_classes=CLASSES, bounding_box_format="yxyx")


def batch(images: int, objects: int, size: int = 64) -> tuple[np.ndarray, dict[str, Any]]:
    """Noise for images, and boxes and labels at random."""
    random = np.random.default_rng(0)
    pixels = random.uniform(0, 255, (images, size, size, 3)).astype(np.float32)
    boxes = random.uniform(0.2, 0.6, (images, objects, 4)).astype(np.float32)
    return pixels, {"boxes": boxes, "labels": random.integers(0, CLASSES, (images, objects)).astype(np.int32)}
