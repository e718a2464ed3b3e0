# harden993: prints the inbound rules and the network profiles of this host's firewall as one JSON object, in ASCII.
# It changes nothing. Run it as administrator and keep what it prints:
#     powershell.exe -NoProfile -ExecutionPolicy Bypass -File .\capture.ps1 > host.json
#
# Every class of filter is read once and joined by InstanceID: a read for each rule takes about a second of its own.

#Requires -Version 5.1
#Requires -Modules NetSecurity

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$store = 'ActiveStore'

# A list of texts: enums become their names, and one value alone stays a list.
function ConvertTo-WordList {
    param([object] $Value)
    $words = [System.Collections.Generic.List[string]]::new()
    foreach ($item in @($Value)) {
        if ($null -ne $item -and [string] $item -ne '') { $words.Add([string] $item) }
    }
    return , $words.ToArray()
}

function Get-FilterIndex {
    param([object[]] $Filters)
    $index = @{}
    foreach ($filter in $Filters) { $index[$filter.InstanceID] = $filter }
    return $index
}

# A property that not every version of Windows has.
function Get-OptionalProperty {
    param([object] $Item, [string] $Name)
    if ($null -ne $Item.PSObject.Properties[$Name]) { return $Item.PSObject.Properties[$Name].Value }
    return $null
}

$ports = Get-FilterIndex -Filters @(Get-NetFirewallPortFilter -PolicyStore $store -ErrorAction Stop)
$addresses = Get-FilterIndex -Filters @(Get-NetFirewallAddressFilter -PolicyStore $store -ErrorAction Stop)
$applications = Get-FilterIndex -Filters @(Get-NetFirewallApplicationFilter -PolicyStore $store -ErrorAction Stop)
$services = Get-FilterIndex -Filters @(Get-NetFirewallServiceFilter -PolicyStore $store -ErrorAction Stop)
$interfaces = Get-FilterIndex -Filters @(Get-NetFirewallInterfaceFilter -PolicyStore $store -ErrorAction Stop)
$interfaceTypes = Get-FilterIndex -Filters @(Get-NetFirewallInterfaceTypeFilter -PolicyStore $store -ErrorAction Stop)
$securities = Get-FilterIndex -Filters @(Get-NetFirewallSecurityFilter -PolicyStore $store -ErrorAction Stop)

$rules = [System.Collections.Generic.List[object]]::new()
foreach ($rule in @(Get-NetFirewallRule -PolicyStore $store -ErrorAction Stop)) {
    if ([string] $rule.Direction -ne 'Inbound') { continue }
    $id = $rule.InstanceID
    $rules.Add([ordered] @{
        name             = [string] $rule.Name
        display_name     = [string] $rule.DisplayName
        description      = [string] $rule.Description
        group            = [string] $rule.Group
        enabled          = ([string] $rule.Enabled -eq 'True')
        action           = [string] $rule.Action
        direction        = [string] $rule.Direction
        profile          = [string] $rule.Profile
        edge             = [string] $rule.EdgeTraversalPolicy
        protocol         = [string] $ports[$id].Protocol
        local_port       = ConvertTo-WordList -Value $ports[$id].LocalPort
        remote_port      = ConvertTo-WordList -Value $ports[$id].RemotePort
        dynamic_target   = [string] (Get-OptionalProperty -Item $ports[$id] -Name 'DynamicTarget')
        local_address    = ConvertTo-WordList -Value $addresses[$id].LocalAddress
        remote_address   = ConvertTo-WordList -Value $addresses[$id].RemoteAddress
        dynamic_keywords = ConvertTo-WordList -Value (
            Get-OptionalProperty -Item $rule -Name 'RemoteDynamicKeywordAddresses')
        program          = [string] $applications[$id].Program
        package          = [string] $applications[$id].Package
        service          = [string] $services[$id].Service
        interface        = ConvertTo-WordList -Value $interfaces[$id].InterfaceAlias
        interface_type   = [string] $interfaceTypes[$id].InterfaceType
        authentication   = [string] $securities[$id].Authentication
        override_block   = [string] $securities[$id].OverrideBlockRules
        local_user       = [string] $securities[$id].LocalUser
        remote_user      = [string] $securities[$id].RemoteUser
        remote_machine   = [string] $securities[$id].RemoteMachine
        owner            = [string] $rule.Owner
        platform         = ConvertTo-WordList -Value $rule.Platform
        source           = [string] $rule.PolicyStoreSource
        source_type      = [string] $rule.PolicyStoreSourceType
        enforcement      = ConvertTo-WordList -Value $rule.EnforcementStatus
        status           = [string] $rule.PrimaryStatus
    })
}

$profiles = [System.Collections.Generic.List[object]]::new()
foreach ($network in @(Get-NetFirewallProfile -PolicyStore $store -ErrorAction Stop)) {
    $profiles.Add([ordered] @{
        name                = [string] $network.Name
        enabled             = [string] $network.Enabled
        default_inbound     = [string] $network.DefaultInboundAction
        inbound_rules       = [string] $network.AllowInboundRules
        local_rules         = [string] $network.AllowLocalFirewallRules
        user_ports          = [string] $network.AllowUserPorts
        log_blocked         = [string] $network.LogBlocked
        disabled_interfaces = ConvertTo-WordList -Value $network.DisabledInterfaceAliases
    })
}

$capture = [ordered] @{ schema = 1; policy_store = $store; profiles = $profiles.ToArray(); rules = $rules.ToArray() }
$json = ConvertTo-Json -InputObject $capture -Depth 5
[System.Text.RegularExpressions.Regex]::Replace($json, '[^ -~\r\n]',
    { param($found) '\u{0:x4}' -f [int] [char] $found.Value })
