#include "attune/text/post_processor.h"

#include "attune/core/error.h"

namespace attune::text {

namespace {

constexpr std::string_view kWhere = "tokenizer.json: post_processor";

int32_t checked_id(const Json& id) {
  check(id.is_number_integer(), "{}: an id must be an integer, got {}.", kWhere, id.type_name());
  const auto value = id.get<int64_t>();
  check(value >= 0 && value <= INT32_MAX, "{}: id {} is out of range.", kWhere, value);
  return static_cast<int32_t>(value);
}

PostProcessor template_processing(const Json& component) {
  PostProcessor result;
  bool seen_text = false;
  for (const Json& part : array_field(component, "single", kWhere)) {
    if (const Json* sequence = find_field(part, "Sequence", kWhere)) {
      check(!seen_text && text_field(*sequence, "id", kWhere) == "A",
            "{}: TemplateProcessing must hold the sequence A once.",
            kWhere);
      seen_text = true;
      continue;
    }
    const Json* token = find_field(part, "SpecialToken", kWhere);
    check(token != nullptr, "{}: TemplateProcessing has an unknown part.", kWhere);
    const std::string name = text_field(*token, "id", kWhere);
    const Json* tokens = find_field(component, "special_tokens", kWhere);
    const Json* entry = tokens == nullptr ? nullptr : find_field(*tokens, name, kWhere);
    check(entry != nullptr, "{}: special_tokens does not have \"{}\".", kWhere, name);
    for (const Json& id : array_field(*entry, "ids", kWhere)) {
      (seen_text ? result.suffix : result.prefix).push_back(checked_id(id));
    }
  }
  check(seen_text, "{}: TemplateProcessing lacks the sequence A.", kWhere);
  return result;
}

// "cls" and "sep" are pairs of text and id.
int32_t id_of_pair(const Json& component, std::string_view key) {
  const Json& pair = array_field(component, key, kWhere);
  check(pair.size() == 2, "{}: \"{}\" must be a token and its id.", kWhere, key);
  return checked_id(pair[1]);
}

}  // namespace

PostProcessor PostProcessor::parse(const Json& component) {
  if (component.is_null()) {
    return {};
  }
  const std::string type = type_of(component, kWhere);
  if (type == "ByteLevel") {  // only changes offsets
    return {};
  }
  if (type == "TemplateProcessing") {
    return template_processing(component);
  }
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    return {{id_of_pair(component, "cls")}, {id_of_pair(component, "sep")}};
  }
  if (type != "Sequence") {
    unsupported(kWhere, type);
  }
  PostProcessor all;
  for (const Json& part : array_field(component, "processors", kWhere)) {
    const PostProcessor one = parse(part);
    all.prefix.insert(all.prefix.begin(), one.prefix.begin(), one.prefix.end());
    all.suffix.insert(all.suffix.end(), one.suffix.begin(), one.suffix.end());
  }
  return all;
}

}  // namespace attune::text
