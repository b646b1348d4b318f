// What TensorRT's own library is to its Python bindings, as far as a test can be it: objects of the same layout whose
// methods answer what the test has scripted, in order. The bindings convert arguments and answers as they always do.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <typeinfo>
#include <utility>

namespace {

struct Dims { int32_t count; int64_t sizes[8]; };
struct Answer { char kind; int64_t number; Dims dims; std::string text; };
struct Typed { virtual ~Typed() = default; };        // lends the objects its run-time type
struct Object { void** methods; Object* inner; std::string text; };  // an interface, and what it forwards to

constexpr int METHODS = 128;
std::deque<Answer> answers;
Object* made(char kind, const std::string& text = "");

void* answer(int method, void* result) {
    if (answers.empty()) {
        std::fprintf(stderr, "method %d was called, and no answer is left\n", method);
        std::exit(3);
    }
    const Answer next = answers.front();
    answers.pop_front();
    switch (next.kind) {
        case 'n': return reinterpret_cast<void*>(next.number);
        case 'd': return std::memcpy(result, &next.dims, sizeof next.dims);  // structures are returned by address
        case 't': return strdup(next.text.c_str());
        default: return next.number ? made(next.kind, next.text) : nullptr;  // 'o', an object, or 'm', memory
    }
}

template <int method> void* scripted(void* result) { return answer(method, result); }
void* nothing() { return nullptr; }
const void* data(Object* self) { return self->text.data(); }
std::size_t size(Object* self) { return self->text.size(); }
int32_t type(Object*) { return 2; }  // int8

struct Table {
    void* entries[METHODS + 2];
    template <std::size_t... method> explicit Table(bool answers, std::index_sequence<method...>)
        : entries{nullptr, const_cast<std::type_info*>(&typeid(Typed)),
                  (answers ? reinterpret_cast<void*>(&scripted<method>) : reinterpret_cast<void*>(&nothing))...} {}
    void** methods() { return entries + 2; }
};

Object* made(char kind, const std::string& text) {
    using Methods = std::make_index_sequence<METHODS>;
    static Table forwards(false, Methods{}), answering(true, Methods{}), parser(true, Methods{}), memory(false, Methods{});
    parser.methods()[6] = parser.methods()[7] = reinterpret_cast<void*>(&nothing);  // its destructors
    memory.methods()[2] = reinterpret_cast<void*>(&data);
    memory.methods()[3] = reinterpret_cast<void*>(&size);
    memory.methods()[4] = reinterpret_cast<void*>(&type);
    if (kind == 'p') return new Object{parser.methods(), nullptr, ""};  // has no inner object
    auto* inner = new Object{kind == 'm' ? memory.methods() : answering.methods(), nullptr, text};
    return new Object{forwards.methods(), inner, ""};
}

}  // namespace

extern "C" {
void script(char kind, int64_t number, const int64_t* sizes, int count, const char* text) {
    Answer next{kind, number, {count, {}}, text};
    std::memcpy(next.dims.sizes, sizes, count * sizeof *sizes);
    answers.push_back(next);
}
int unused() { return static_cast<int>(answers.size()); }
void* createInferBuilder_INTERNAL() { return made('o'); }
void* createInferRuntime_INTERNAL() { return made('o'); }
void* createNvOnnxParser_INTERNAL() { return made('p'); }
void* createInferRefitter_INTERNAL() { return nullptr; }
void* createNvOnnxParserRefitter_INTERNAL() { return nullptr; }
void* getBuilderPluginRegistry() { return nullptr; }
void* getNvOnnxParserVersion() { return nullptr; }
void* getPluginRegistry() { return nullptr; }
void* initLibNvInferPlugins() { return nullptr; }
}
