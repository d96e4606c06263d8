// What GGUF calls things, and how it lays out rotated heads.
#pragma once

#include <string>

#include "attune/io/gguf.h"
#include "attune/model/decoder.h"

namespace attune::model {

/// The shape that a GGUF file's metadata describes.
DecoderShape shape_from_gguf(const io::GgufFile& file);

/// config.json's text for that shape and the file's special tokens.
std::string config_from_gguf(const io::GgufFile& file, const DecoderShape& shape);

/// "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight".
std::string gguf_name(const std::string& hugging_face_name);

/// Whether GGUF files of this architecture keep the rows of q_proj and k_proj with the rotated
/// pairs side by side (Llama and Mistral), where Hugging Face keeps the halves apart.
bool interleaves_rotary_rows(const std::string& architecture);

}  // namespace attune::model
