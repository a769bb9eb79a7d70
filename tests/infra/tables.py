"""The columns of the tables that the queries read, as far as they are documented and used."""

OF_EVERY_TABLE = "TimeGenerated:datetime, Type:string, _ResourceId:string"
OF_EVERY_APP_TABLE = f"{OF_EVERY_TABLE}, Properties:dynamic, OperationId:string, AppRoleName:string, ItemCount:int"
TABLES = {
    "AppTraces": f"({OF_EVERY_APP_TABLE}, Message:string, SeverityLevel:int)",
    "AppRequests": f"({OF_EVERY_APP_TABLE}, Name:string, Success:bool, ResultCode:string, DurationMs:real)",
    "AegDeliveryFailureLogs": f"({OF_EVERY_TABLE}, Category:string, EventSubscriptionName:string, Message:string, "
    "OperationName:string)",
    "AzureMetrics": f"({OF_EVERY_TABLE}, ResourceId:string, ResourceProvider:string, MetricName:string, Average:real, "
    "Count:real, Maximum:real, Minimum:real, Total:real, TimeGrain:string, UnitName:string)",
}
