# Completion of minke's command lines for PowerShell: add this to your profile.

Register-ArgumentCompleter -Native -CommandName minke -ScriptBlock {
    param($current, $line, $position)
    $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($current -eq '') { $words += '' }
    $answer = & $line.CommandElements[0].ToString() __complete -- @words 2>$null
    foreach ($candidate in $answer) {
        if ($candidate.StartsWith(':')) { continue }
        $text, $help = $candidate -split "`t", 2
        if (-not $help) { $help = $text }
        [System.Management.Automation.CompletionResult]::new($text, $text, 'ParameterValue', $help)
    }
}
