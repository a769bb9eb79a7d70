// Parses Kusto queries and checks them against the tables' columns. Arguments: the parser's folder, and a JSON file
// {"tables": {name: "(column:type,…)"}, "queries": {name: text}}. Prints {name: [[code, message], …]}.
const [folder, input] = process.argv.slice(2)
require(`${folder}/bridge.min.js`)
require(`${folder}/Kusto.Language.Bridge.min.js`)
const { tables, queries } = JSON.parse(require('fs').readFileSync(input, 'utf8'))
const { Symbols, GlobalState, KustoCode } = Kusto.Language
const symbols = Object.entries(tables).map(([name, columns]) => new Symbols.TableSymbol.$ctor7(name, columns, null))
const state = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('db', symbols))
const results = {}
for (const [name, text] of Object.entries(queries)) {
  const diagnostics = KustoCode.ParseAndAnalyze(text, state).GetDiagnostics()
  results[name] = Array.from({ length: diagnostics.Count }, (_, index) => {
    const { Code, Message } = diagnostics.getItem(index)
    return [Code, Message]
  })
}
console.log(JSON.stringify(results))
