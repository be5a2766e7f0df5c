# Joins a JSON object on several lines into one line; every other line is unchanged.
# An object begins with a line that is `{`, or `{` and a string, and ends where its braces close.
function depth(text,    changed) {
    gsub(/\\./, "", text)          # escaped quotes end no string
    gsub(/"[^"]*"/, "", text)      # braces inside strings open nothing
    changed = gsub(/[{[]/, "", text)
    return changed - gsub(/[]}]/, "", text)
}
open == 0 && !/^[ \t]*[{][ \t\r]*("|$)/ { print; fflush(); next }
{
    sub(/\r$/, ""); sub(/^[ \t]+/, "")
    held = held (open ? " " : "") $0
    open += depth($0)
    if (open <= 0) { print held; fflush(); held = ""; open = 0 }
}
END { if (open > 0) print held }
